/** What goes wrong with a GPU and that somebody catches: the answer is to go on on the CPU. */

/** There is no GPU to be had, or it cannot do what is needed. */
export class GpuUnavailableError extends Error {
  override readonly name = "GpuUnavailableError";
}

/** The GPU has no room for a buffer. */
export class GpuOutOfMemoryError extends Error {
  override readonly name = "GpuOutOfMemoryError";
}

/** The GPU stopped while it was used: what was under way is void. */
export class GpuLostError extends Error {
  override readonly name = "GpuLostError";
}
