// Routes by expert, and tiles of them: of one expert's routes 32 each, and once more 128 each.
//
// | binding | what | shape |
// |---|---|---|
// | step | tokens of this step | – |
// | routes | what choose_experts.wgsl wrote, | [tokens, USED, 2] |
// | | then, from ORDER on, routes by expert and by number; | [tokens · USED] |
// | | from TILES and WIDE_TILES on expert, first place in the order, end | [tiles, 3] |
//
// There are as many tiles as a step of so many tokens can have, ⌈tokens · USED / size⌉ + EXPERTS;
// those that it does not have are empty. One workgroup: invocations have an expert each and look at all
// routes, a page at a time. Grid: [1].

@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read_write> routes: array<u32>;

override USED: u32;
override EXPERTS: u32;
override ORDER: u32;
override TILES: u32;
override WIDE_TILES: u32;

const LANES = 256u;
const PAGE = 1024u;
const SIZE = 32u;
const WIDE_SIZE = 128u;

var<workgroup> page: array<vec4<u32>, 256>; // experts of PAGE routes
var<workgroup> counts: array<u32, EXPERTS>; // routes of each, then where the next one goes
var<workgroup> starts: array<u32, EXPERTS>;
var<workgroup> tileStarts: array<u32, EXPERTS>;
var<workgroup> wideStarts: array<u32, EXPERTS>;
var<workgroup> tileCounts: array<u32, 2>; // of all experts, by size

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
  let count = step.tokens * USED;
  for (var first = 0u; first < count; first += PAGE) {
    turnTo(first, count, lane);
    for (var e = lane; e < EXPERTS; e += LANES) {
      for (var i = 0u; i < PAGE / 4u; i++) {
        counts[e] += dot(select(vec4(0u), vec4(1u), page[i] == vec4(e)), vec4(1u));
      }
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    var start = 0u;
    var tile = 0u;
    var wide = 0u;
    for (var e = 0u; e < EXPERTS; e++) {
      let own = counts[e];
      starts[e] = start;
      tileStarts[e] = tile;
      wideStarts[e] = wide;
      counts[e] = start;
      start += own;
      tile += tilesOf(own, SIZE);
      wide += tilesOf(own, WIDE_SIZE);
    }
    tileCounts[0] = tile;
    tileCounts[1] = wide;
  }
  workgroupBarrier();
  for (var first = 0u; first < count; first += PAGE) {
    turnTo(first, count, lane);
    for (var e = lane; e < EXPERTS; e += LANES) {
      for (var i = 0u; i < PAGE; i++) {
        if (page[i / 4u][i % 4u] != e) { continue; }
        routes[ORDER + counts[e]] = first + i;
        counts[e]++;
      }
    }
    workgroupBarrier();
  }
  for (var e = lane; e < EXPERTS; e += LANES) {
    putTiles(e, TILES + 3u * tileStarts[e], SIZE);
    putTiles(e, WIDE_TILES + 3u * wideStarts[e], WIDE_SIZE);
  }
  clearTiles(TILES, tileCounts[0], tilesOf(count, SIZE) + EXPERTS, lane);
  clearTiles(WIDE_TILES, tileCounts[1], tilesOf(count, WIDE_SIZE) + EXPERTS, lane);
}

fn tilesOf(count: u32, size: u32) -> u32 { return (count + size - 1u) / size; }

// Experts of routes from `first` on; EXPERTS behind the last route.
fn turnTo(first: u32, count: u32, lane: u32) {
  for (var i = lane; i < PAGE; i += LANES) {
    let expert = routes[2u * min(first + i, count - 1u)];
    page[i / 4u][i % 4u] = select(EXPERTS, expert, first + i < count);
  }
  workgroupBarrier();
}

fn putTiles(e: u32, begin: u32, size: u32) {
  var at = begin;
  let end = counts[e];
  for (var first = starts[e]; first < end; first += size) {
    routes[at] = e;
    routes[at + 1u] = first;
    routes[at + 2u] = min(first + size, end);
    at += 3u;
  }
}

fn clearTiles(begin: u32, count: u32, end: u32, lane: u32) {
  for (var tile = count + lane; tile < end; tile += LANES) {
    routes[begin + 3u * tile] = 0u;
    routes[begin + 3u * tile + 1u] = 0u;
    routes[begin + 3u * tile + 2u] = 0u;
  }
}
