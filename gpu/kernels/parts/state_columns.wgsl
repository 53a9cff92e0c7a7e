// Part of a shader whose workgroups of 256 have COLUMNS neighbouring channels with all of their
// states, PARTS invocations each, which have 16 numbers of a state; `places`, and the type of what
// is summed up over a channel, `Sums`, are the shader's.
//
// A workgroup goes through the tokens of a sequence: states are read once, and written where they
// are kept, which is once as a rule. Nobody writes the place that is read.

override PLACE: u32; // floats of a place
override STATE_START: u32; // where in it states are, [STATES, CHANNELS]
override STATES: u32; // multiple of 4
override CHANNELS: u32;
override PARTS: u32;
override COLUMNS: u32;

// Of two tokens by turns: invocations that are ahead do not write what others still read.
var<workgroup> sums: array<Sums, 512>;

// 16 numbers of a row of states.
struct Sixteen { a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32> }

// Which invocation it is: of a channel, which of its numbers; the last channel is everybody's who is
// beyond it.
struct Own { lane: u32, column: u32, channel: u32, first: u32, isThere: bool, isFirst: bool }

fn ownOf(group: u32, lane: u32) -> Own {
  let column = lane % COLUMNS;
  let channel = group * COLUMNS + column;
  let part = lane / COLUMNS;
  let isThere = channel < CHANNELS;
  return Own(lane, column, min(channel, CHANNELS - 1u), 16u * part, isThere, part == 0u && isThere);
}

fn firstToken(sequence: u32) -> u32 { return select(0u, sequence, IS_APART); }

fn endToken(sequence: u32) -> u32 { return select(step.tokens, sequence + 1u, IS_APART); }

// The state that a sequence goes on with.
fn stateOf(token: u32, own: Own) -> Sixteen {
  let place = stateBefore(token);
  var state = Sixteen(vec4(0.0), vec4(0.0), vec4(0.0), vec4(0.0));
  if (place == 0u) { return state; }
  state.a = fourAt(place, own, 0u);
  state.b = fourAt(place, own, 4u);
  state.c = fourAt(place, own, 8u);
  state.d = fourAt(place, own, 12u);
  return state;
}

fn stateAt(place: u32, own: Own, i: u32) -> u32 {
  return (place - 1u) * PLACE + STATE_START + (own.first + i) * CHANNELS + own.channel;
}

fn fourAt(place: u32, own: Own, i: u32) -> vec4<f32> {
  if (own.first + i >= STATES) { return vec4(0.0); }
  let at = stateAt(place, own, i);
  return vec4(
    places[at],
    places[at + CHANNELS],
    places[at + 2u * CHANNELS],
    places[at + 3u * CHANNELS],
  );
}

// The state behind a token, where it is kept.
fn keep(token: u32, own: Own, state: Sixteen) {
  let place = stateBehind(token);
  if (place == 0u || !own.isThere) { return; }
  putFour(place, own, 0u, state.a);
  putFour(place, own, 4u, state.b);
  putFour(place, own, 8u, state.c);
  putFour(place, own, 12u, state.d);
}

fn putFour(place: u32, own: Own, i: u32, value: vec4<f32>) {
  if (own.first + i >= STATES) { return; }
  let at = stateAt(place, own, i);
  places[at] = value.x;
  places[at + CHANNELS] = value.y;
  places[at + 2u * CHANNELS] = value.z;
  places[at + 3u * CHANNELS] = value.w;
}

fn product(x: Sixteen, y: Sixteen) -> f32 {
  return dot(x.a, y.a) + dot(x.b, y.b) + dot(x.c, y.c) + dot(x.d, y.d);
}

// Of a channel the sum of what its invocations give; all of a workgroup come here, token by token.
fn sumOf(value: Sums, own: Own, token: u32) -> Sums {
  if (PARTS == 1u) { return value; }
  let turn = token % 2u * 256u;
  sums[turn + own.lane] = value;
  workgroupBarrier();
  var sum = sums[turn + own.column];
  for (var part = 1u; part < PARTS; part++) { sum += sums[turn + part * COLUMNS + own.column]; }
  return sum;
}
