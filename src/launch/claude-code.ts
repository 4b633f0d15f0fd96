/** Computes the environment in which Claude Code works through the gateway. Pure: the table is claude-code-variables.ts. */
import { conflictsIn } from "./claude-code-conflicts.ts";
import { type Environment, type Variable, VARIABLES } from "./claude-code-variables.ts";
import type { LaunchPlan } from "./launch-plan.ts";

export type ClientEnvironment = {
  /** Variables to set, by name; what the user has set and may keep is not among them. */
  set: Record<string, string>;
  /** Variables of the user's that the client must not see. */
  remove: string[];
};

/** What to set and what to leave out, given what the user's shell has. */
export function clientEnvironment(plan: LaunchPlan, user: Environment): ClientEnvironment {
  const set: Record<string, string> = {};
  for (const variable of VARIABLES) {
    const value = variable.value(plan, user);
    if (value !== undefined && !usersWins(variable, value, user[variable.name], plan)) set[variable.name] = value;
  }
  return { set, remove: conflictsIn(user) };
}

/** The whole environment of the child process. */
export function applyEnvironment(user: Environment, change: ClientEnvironment): Record<string, string> {
  const child: Record<string, string> = {};
  for (const [name, value] of Object.entries(user)) {
    if (value !== undefined && !change.remove.includes(name)) child[name] = value;
  }
  return Object.assign(child, change.set);
}

function usersWins(variable: Variable, ours: string, theirs: string | undefined, plan: LaunchPlan): boolean {
  if (theirs === undefined || theirs === "") return false;
  if (variable.precedence === "user") return true;
  if (variable.precedence === "smaller") return /^[1-9]\d*$/.test(theirs) && Number(theirs) <= Number(ours);
  return variable.precedence === "served" && plan.served.includes(theirs);
}
