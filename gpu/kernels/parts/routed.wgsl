// Part of a product of which each row of inputs meets one expert's weights; those of all experts lie
// one below the other, ROWS each. A route is a token's way to one of USED experts: `routes`, which is
// bound behind all that the shader has, and is laid out in gpu/routes.ts. Its other form:
// parts/whole.wgsl.

override USED: u32;
override IS_SHARED: bool; // a token's routes read its one row; else each has a row
override FIRST_EXPERT: u32; // that this binding has weights of
override EXPERTS: u32; // whose weights it has
override TILES: u32 = 0; // where tiles of routes are told, which are by expert; 0: a tile is a route
override ORDER: u32 = 0; // where they are

// As in parts/whole.wgsl; empty where another binding has the weights, or no route is there.
struct Span { first: u32, end: u32, weights: u32 }

fn spanOf(tile: u32, size: u32) -> Span {
  if (TILES == 0u) { return spanOfExpert(routes[2u * tile], tile, tile + 1u); }
  let at = TILES + 3u * tile;
  return spanOfExpert(routes[at], routes[at + 1u], routes[at + 2u]);
}

fn spanOfExpert(expert: u32, first: u32, end: u32) -> Span {
  if (expert < FIRST_EXPERT || expert >= FIRST_EXPERT + EXPERTS) { return Span(0u, 0u, 0u); }
  return Span(first, end, (expert - FIRST_EXPERT) * ROWS);
}

fn inputOf(at: u32) -> u32 {
  let route = outputOf(at);
  return select(route, route / USED, IS_SHARED);
}

fn outputOf(at: u32) -> u32 {
  if (TILES == 0u) { return at; }
  return routes[ORDER + at];
}
