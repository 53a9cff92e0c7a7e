/** What shaders bound: whoever plans asks before there is a device. */

/** The most residual streams that shaders mix. */
export const STREAMS_MAX = 8;
/** The most dimensions of a head that is turned and remembered. */
export const HEAD_DIM_MAX = 512;
/** The most numbers in the state of a channel: an invocation has 16 of them. */
export const STATES_MAX = 256;
/** What sorts routes keeps 16 bytes of each in the 16 KiB that every adapter has. */
export const EXPERTS_MAX = 512;
/** Of one token: routes of 1,024 tokens are rows of a grid, which has 65,535 at most. */
export const USED_EXPERTS_MAX = 63;
