/**
 * Estimates a prompt's tokens from its JSON, for engines that have no tokenizer to ask. It walks over the text in the pieces
 * that byte-pair tokenizers start from (words, numbers, punctuation, other scripts) and adds up what such a piece costs on
 * average; docs/engines.md has the measurements against real tokenizers.
 */

/** Letters of a word that are one token; each further stretch of this many is another. */
const LETTERS_A_TOKEN = 7;
/** Digits a token: some tokenizers take them one by one, others in threes. */
const DIGITS_A_TOKEN = 1.2;
/** Punctuation marks a token: `":{"` is one or two. */
const MARKS_A_TOKEN = 1.9;
/** Characters a token of alphabets besides ASCII's, and of Chinese, Japanese and Korean script. */
const LETTERS_BEYOND_ASCII_A_TOKEN = 2.6;
const IDEOGRAPHS_A_TOKEN = 1.6;
/** Role marks and ends of turn, by message. */
const TOKENS_A_MESSAGE = 4;
/** An image of a megapixel, about, for the vision models in use. */
const TOKENS_AN_IMAGE = 1_500;

const IMAGE_DATA = /"data:[\w.+-]+\/[\w.+-]+;base64,[A-Za-z0-9+/=]*"/g;

/** `body` is the JSON of a chat request. */
export function estimateTokens(body: string): number {
  let images = 0;
  const text = body.includes(";base64,") ? body.replace(IMAGE_DATA, () => (images++, "")) : body;
  let messages = 0;
  for (let at = text.indexOf('"role":'); at >= 0; at = text.indexOf('"role":', at + 7)) messages++;
  return Math.ceil(textTokens(text) + messages * TOKENS_A_MESSAGE + images * TOKENS_AN_IMAGE);
}

/** Many and short: a request's system prompt, tools and results are of different density. */
const SAMPLES = 32;
const SAMPLE_LENGTH = 128;

/** As `estimateTokens`, from samples of a long body: mostly within some percent of it, and twenty times as fast. For what is only held, not billed. */
export function guessTokens(body: string): number {
  if (body.length <= SAMPLES * SAMPLE_LENGTH * 2 || body.includes(";base64,")) return estimateTokens(body);
  const step = (body.length - SAMPLE_LENGTH) / (SAMPLES - 1);
  let sampled = "";
  for (let n = 0; n < SAMPLES; n++) sampled += body.slice(Math.floor(n * step), Math.floor(n * step) + SAMPLE_LENGTH);
  return Math.ceil((textTokens(sampled) * body.length) / sampled.length);
}

function textTokens(text: string): number {
  let tokens = 0;
  let digits = 0;
  let marks = 0;
  let foreign = 0;
  let ideographs = 0;
  let i = 0;
  while (i < text.length) {
    const start = i;
    let char = text.charCodeAt(i);
    if (isLetter(char)) {
      // A word ends where its case rises again: `camelCase`, and the noise of hashes.
      i++;
      while (i < text.length && isLetter((char = text.charCodeAt(i))) && (char >= 97 || text.charCodeAt(i - 1) < 97))
        i++;
      tokens += Math.ceil((i - start) / LETTERS_A_TOKEN);
      continue;
    }
    i++;
    if (char === 92 && i < text.length) {
      // An escape of JSON stands for one character; line ends and tabs mostly join what is around them.
      const escaped = text.charCodeAt(i++);
      tokens += escaped === 110 ? 0.6 : 0.5;
    } else if (char === 32) continue;
    else if (char >= 48 && char <= 57) digits++;
    else if (char < 128) marks++;
    else if (char >= 0x2e80) ideographs++;
    else foreign++;
  }
  return (
    tokens +
    digits / DIGITS_A_TOKEN +
    marks / MARKS_A_TOKEN +
    foreign / LETTERS_BEYOND_ASCII_A_TOKEN +
    ideographs / IDEOGRAPHS_A_TOKEN
  );
}

function isLetter(char: number): boolean {
  return (char >= 97 && char <= 122) || (char >= 65 && char <= 90);
}
