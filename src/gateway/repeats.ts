/**
 * Recognises a request that repeats one whose stream broke: Claude Code sends the whole of it again, not streamed. The work is
 * done twice, and the usage rows say so.
 */
import { createHash } from "node:crypto";

/** A prompt as far as repeating it goes: its messages, in order. */
export type RepeatablePrompt = { readonly messages: readonly { readonly json: string }[] };

const MOST_REMEMBERED = 1_000;
/** Clients send again at once; what comes later is a person asking again. Milliseconds. */
const REMEMBERED_FOR = 10 * 60_000;

type Broken = { requestId: string; messages: number; digest: string; at: number };

export class Repeats {
  readonly #broken = new Map<string, Broken>();

  /** Remembers that this prompt's answer broke off. `owner` is whose it was: key, session and agent. */
  remember(owner: string, prompt: RepeatablePrompt, requestId: string): void {
    this.#broken.delete(owner);
    this.#broken.set(owner, {
      requestId,
      messages: prompt.messages.length,
      digest: digestOf(prompt),
      at: Date.now(),
    });
    if (this.#broken.size > MOST_REMEMBERED) {
      const oldest = this.#broken.keys().next();
      if (!oldest.done) this.#broken.delete(oldest.value);
    }
  }

  /**
   * The request that this prompt repeats, if the same owner's last stream broke. Found once, then forgotten; other requests of that
   * owner, such as a side call for the session's title, may come in between.
   */
  take(owner: string, prompt: RepeatablePrompt): string | undefined {
    const broken = this.#broken.get(owner);
    if (broken === undefined) return undefined;
    if (Date.now() - broken.at > REMEMBERED_FOR) {
      this.#broken.delete(owner);
      return undefined;
    }
    // Their number is compared first: hashing a long prompt takes a while.
    if (broken.messages !== prompt.messages.length || broken.digest !== digestOf(prompt)) return undefined;
    this.#broken.delete(owner);
    return broken.requestId;
  }
}

function digestOf(prompt: RepeatablePrompt): string {
  const hash = createHash("sha256");
  for (const message of prompt.messages) hash.update(message.json).update("\n");
  return hash.digest("base64");
}
