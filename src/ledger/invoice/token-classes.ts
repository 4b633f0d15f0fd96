/** The classes of tokens that have a price each. Apart from the invoice itself, so that commands can name them without its database. */
export const TOKEN_CLASSES = ["input_uncached", "cache_read", "cache_write", "output"] as const;
export type TokenClass = (typeof TOKEN_CLASSES)[number];
