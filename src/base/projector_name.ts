/** How a model's projector is called, so that those who fetch models and who load them agree. */

/** "name.mmproj.gguf" lies beside "name.gguf", and belongs to it. */
export const PROJECTOR_ENDING = ".mmproj.gguf";
