import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assistant, request, system, user } from "./__fixtures__/requests.ts";
import { engineMessages } from "./engine-messages.ts";
import { defaultPromptProfile } from "./prompt-profile.ts";
import { splitHead } from "./shared-heads.ts";

const sharedHeads = { ...defaultPromptProfile, sharedHeads: true };

/** Laid out as Claude Code 2.1.197 does. */
const claudeCode = (directory: string, git: boolean) => `You are an agent.

# Harness
 - Text is markdown.

# Memory

You have a memory at \`/home/dev/.claude/projects/${directory.replaceAll("/", "-")}/memory/\`.

\`\`\`markdown
---
# Environment of a note
---
\`\`\`

Link liberally.

# Environment
You have been invoked in the following environment:
 - Primary working directory: ${directory}
 - Is a git repository: ${git}

# Context management
When the conversation grows long, it is summarized.
${git ? "\ngitStatus: This is the git status at the start.\n\nCurrent branch: master\n\nRecent commits:\n602d56b one" : ""}`;

describe("splitHead", () => {
  it("takes the sections that name the session out of Claude Code's system text", () => {
    const { shared, own } = splitHead(claudeCode("/srv/a", true));
    expect(shared).toBe(
      "You are an agent.\n\n# Harness\n - Text is markdown.\n\n# Context management\nWhen the conversation grows long, it is summarized.",
    );
    expect(own).toMatch(
      /^# Memory[^]*# Environment of a note[^]*Link liberally\.\n\n# Environment\n[^]*\n\ngitStatus: [^]*602d56b one$/,
    );
  });

  it("leaves the same text for sessions in different places", () => {
    expect(splitHead(claudeCode("/srv/b", false)).shared).toBe(splitHead(claudeCode("/srv/a", true)).shared);
  });

  it("takes out an <env> block", () => {
    expect(
      splitHead("Be brief.\nHere is the environment:\n<env>\nWorking directory: /srv/a\n# no heading\n</env>\nMore."),
    ).toEqual({
      shared: "Be brief.\nHere is the environment:\n\nMore.",
      own: "<env>\nWorking directory: /srv/a\n# no heading\n</env>",
    });
  });

  it("leaves other text alone, byte for byte", () => {
    const text = " You are an agent.\n\n\n# Memory of trees\n```\n# Environment\n```\n ";
    expect(splitHead(text)).toEqual({ shared: text, own: "" });
    expect(splitHead("")).toEqual({ shared: "", own: "" });
  });

  it("loses no word", () => {
    const line = fc.constantFrom(
      "# Memory",
      "# Environment",
      "# Other",
      "gitStatus: x",
      "<env>",
      "</env>",
      "```",
      "",
      "word",
      "  two words",
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const { shared, own } = splitHead(lines.join("\n"));
        const words = (text: string) => text.split(/\s+/).filter(Boolean).sort();
        expect(words(`${shared}\n${own}`)).toEqual(words(lines.join("\n")));
      }),
    );
  });
});

describe("shared heads in a prompt", () => {
  const head = (directory: string) => [{ type: "text" as const, text: claudeCode(directory, true) }];
  const messages = [user("hi"), system("now"), assistant("yo"), user("2")];

  it("give what names the session with the first user message", () => {
    const [first, second, ...rest] = engineMessages(request(messages, { system: head("/srv/a") }), sharedHeads);
    expect(first).toEqual({ role: "system", content: splitHead(claudeCode("/srv/a", true)).shared });
    expect(second?.content).toMatch(
      /^<system-reminder>\n# Memory[^]*602d56b one\n<\/system-reminder>\n\nhi\n\n<system-reminder>\nnow\n/,
    );
    expect(rest).toEqual([
      { role: "assistant", content: "yo" },
      { role: "user", content: "2" },
    ]);
  });

  it("keep it in the head when the conversation does not begin with the user", () => {
    const [first] = engineMessages(request([assistant("hi"), user("1")], { system: head("/srv/a") }), sharedHeads);
    expect(first).toEqual({ role: "system", content: claudeCode("/srv/a", true) });
  });

  it("are off unless the profile says so", () => {
    const [first] = engineMessages(request(messages, { system: head("/srv/a") }), defaultPromptProfile);
    expect(first).toEqual({ role: "system", content: claudeCode("/srv/a", true) });
  });
});
