// Part of a product by integer dot products that reads inputs where they are stored.

fn rowAt(token: u32, piece: u32) -> Inputs { return inputsAt(token, piece); }
