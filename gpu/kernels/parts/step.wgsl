// Part of a shader that binds the step: what all of its tokens have in common.

// tokens of this step, position of the first one, how many of the last ones are scored; words of
// chains; not 0: each of the tokens sees all of them; one more of chains.
struct Step {
  tokens: u32, position: u32, scored: u32, sequence: u32,
  chain: vec4<u32>, chainRest: vec2<u32>, seesAll: u32, chainNext: u32,
}
