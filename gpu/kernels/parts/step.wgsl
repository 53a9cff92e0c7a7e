// Part of a shader that binds the step: what all of its tokens have in common.

// tokens of this step, position of the first one, how many of the last ones are scored.
struct Step { tokens: u32, position: u32, scored: u32, sequence: u32 }
