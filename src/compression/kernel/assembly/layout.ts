// Layout of the memory: probabilities, input, dictionary. The dictionary is last, so that it can
// grow. lzma-kernel.ts has the same addresses.

/** Address of the probabilities, 16 bits each. */
export const PROBABILITIES: usize = 1024;
/** Address of the input: up to 64 KiB. Up to 32 zeros follow it. */
export const INPUT: usize = 0x8000;
/** Address of the dictionary. */
export const DICTIONARY: usize = 0x20000;

// Indexes of each kind of probability. There are 12 states and at most 16 positions.
export const IS_MATCH: u32 = 0;
export const IS_REP: u32 = IS_MATCH + 12 * 16;
export const IS_REP_G0: u32 = IS_REP + 12;
export const IS_REP_G1: u32 = IS_REP_G0 + 12;
export const IS_REP_G2: u32 = IS_REP_G1 + 12;
export const IS_REP0_LONG: u32 = IS_REP_G2 + 12;
export const POSITION_SLOT: u32 = IS_REP0_LONG + 12 * 16;
export const POSITION_SPECIAL: u32 = POSITION_SLOT + 4 * 64;
export const POSITION_ALIGN: u32 = POSITION_SPECIAL + 115;
export const MATCH_LENGTH: u32 = POSITION_ALIGN + 16;
// Indexes within the probabilities of a length: two choices, then low, middle and high lengths.
export const LENGTH_LOW: u32 = 2;
export const LENGTH_MIDDLE: u32 = LENGTH_LOW + 16 * 8;
export const LENGTH_HIGH: u32 = LENGTH_MIDDLE + 16 * 8;
export const REP_LENGTH: u32 = MATCH_LENGTH + LENGTH_HIGH + 256;
export const LITERALS: u32 = REP_LENGTH + LENGTH_HIGH + 256;
