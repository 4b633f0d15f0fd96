/** Agents' sessions that go on beside each other, each with its own long beginning: what a KV cache that is too small has to do with. */

export type SessionsPlan = {
  /** Base address and key of the gateway. */
  url: string;
  key: string;
  model: string;
  sessions: number;
  turns: number;
  /** Words of a session's first message, and of every later one. */
  words: { first: number; turn: number };
  maxTokens: number;
  /** Milliseconds for which the tools run between two turns. */
  toolMs: number;
};

export type Turn = { session: string; turn: number; prompt: number; cached: number; ms: number };

/** Plays all of them at once, each turn after turn; rejects when one is not answered. */
export async function playSessions(plan: SessionsPlan): Promise<Turn[]> {
  const played = await Promise.all(Array.from({ length: plan.sessions }, (_, n) => playSession(plan, `session-${n}`)));
  return played.flat();
}

async function playSession(plan: SessionsPlan, session: string): Promise<Turn[]> {
  const messages: { role: string; content: string }[] = [];
  const turns: Turn[] = [];
  for (let turn = 0; turn < plan.turns; turn++) {
    messages.push({ role: "user", content: words(session, turn, turn === 0 ? plan.words.first : plan.words.turn) });
    const begun = performance.now();
    const response = await fetch(`${plan.url}/v1/messages`, {
      method: "POST",
      headers: { "x-api-key": plan.key, "content-type": "application/json", "x-claude-code-session-id": session },
      body: JSON.stringify({ model: plan.model, max_tokens: plan.maxTokens, messages }),
    });
    if (response.status !== 200)
      throw new Error(`${session} was answered ${response.status}: ${await response.text()}`);
    const { content, usage } = (await response.json()) as Answer;
    const cached = usage.cache_read_input_tokens ?? 0;
    turns.push({
      session,
      turn,
      prompt: usage.input_tokens + cached + (usage.cache_creation_input_tokens ?? 0),
      cached,
      ms: performance.now() - begun,
    });
    messages.push({ role: "assistant", content: content.map(({ text = "" }) => text).join("") || "(nothing)" });
    await new Promise((resolve) => setTimeout(resolve, plan.toolMs));
  }
  return turns;
}

type Answer = {
  content: { text?: string }[];
  usage: { input_tokens: number; cache_read_input_tokens?: number; cache_creation_input_tokens?: number };
};

/** Words that no other session has, and no other turn. */
function words(session: string, turn: number, count: number): string {
  return Array.from({ length: count }, (_, n) => `${session}-${turn}-${n}`).join(" ");
}

/** Of the prompts of all turns but the first, the share that was cached. */
export function cachedShare(turns: readonly Turn[]): number {
  const later = turns.filter(({ turn }) => turn > 0);
  return later.reduce((sum, { cached }) => sum + cached, 0) / later.reduce((sum, { prompt }) => sum + prompt, 0);
}
