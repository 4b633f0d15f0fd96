/** Usage while an answer streams: what a client that leaves is billed by. */
import { ENGINE_PROFILES } from "../engine/profile.ts";
import type { AskEngine } from "./ask-engine.ts";
import { askChat } from "./chat-answer.ts";
import { type Finding, findingsOf } from "./finding.ts";
import type { Subject } from "./subject.ts";

export async function runningUsage(ask: AskEngine, { model, kind }: Subject): Promise<Finding[]> {
  const say = findingsOf("running_usage");
  const answer = await askChat(ask, {
    model,
    messages: [{ role: "user", content: "Count from one to twenty." }],
    max_tokens: 24,
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true, continuous_usage_stats: true },
    ...(ENGINE_PROFILES[kind].runningUsage === "timings_per_token" && { timings_per_token: true }),
  });
  if (answer.kind === "refused") return [say.bad(`a streamed chat was refused: ${answer.words}`)];
  const { chunks, chunksWithUsage, usage } = answer;
  if (chunks === 0) return [say.unknown("the answer had no text to count")];
  if (chunksWithUsage === chunks) return [say.ok(`on each of ${chunks} chunks`)];
  if (usage?.completion === undefined)
    return [say.bad("there is none, at the end neither: Evener has to estimate what was used")];
  const where = chunksWithUsage === 0 ? "only at the end" : `on ${chunksWithUsage} of ${chunks} chunks`;
  return [say.warning(`${where}: what a client that leaves has used is estimated`)];
}
