/**
 * Where an arena has the codebooks of the IQ types, as kernels look entries up. Integer constants
 * only: read by TypeScript and by AssemblyScript alike. They are the first thing in arenas of
 * models with such types, so that kernels know their addresses; other arenas have none.
 *
 *   even      128 entries of 8 bytes: −1 where bit i of the entry's number is set, and the last
 *             byte such that an even number of them is
 *   signs     256 entries of 8 bytes: −1 where bit i of the entry's number is set
 *   IQ2, IQ1  entries of 8 bytes: the levels of 8 weights
 *   IQ3       entries of 4 bytes: the levels of 4 weights
 *
 * Levels of IQ3_XXS are halved, those of IQ1 times 8, then 8 more: small whole numbers.
 */
export const CODEBOOKS_AT = 1024;
export const EVEN_SIGNS_AT = 1024;
export const IQ2_XXS_AT = 2048;
export const IQ2_XS_AT = 4096;
export const IQ2_S_AT = 8192;
export const IQ3_XXS_AT = 16384;
export const IQ3_S_AT = 17408;
export const IQ1_AT = 19456;
export const SIGNS_AT = 35840;
export const CODEBOOKS_END = 37888;
