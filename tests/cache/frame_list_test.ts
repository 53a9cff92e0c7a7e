import { assert, assertEquals } from "@std/assert";
import { FrameList, isEvictable, RECORD_WORDS } from "../../src/cache/frame_list.ts";
import { Rng } from "../support/rng.ts";

const FRAMES = 12;
const BUCKETS = 4;

Deno.test("FrameList gives the least recently used of the last steps, whoever leaves and comes", () => {
  const rng = new Rng(5);
  const records = new Int32Array((FRAMES + FrameList.sentinels(BUCKETS)) * RECORD_WORDS);
  const list = new FrameList(records, FRAMES, BUCKETS);
  /** Who is in the list, and when it was used. */
  const uses = new Map<number, number>();
  let now = 0;
  let victims = 0;
  const age = (frame: number) => Math.max(uses.get(frame)!, now - (BUCKETS - 1));
  for (let frame = 0; frame < FRAMES; frame++) list.addFree(frame);
  for (let i = 0; i < 5000; i++) {
    const frame = rng.int(FRAMES);
    const dice = rng.int(6);
    if (dice === 0) list.beginStep(++now);
    else if (dice === 1 && uses.has(frame)) {
      list.touch(frame);
      uses.set(frame, now);
    } else if (dice === 2 && uses.has(frame)) {
      // Taken out and put back, as what moves to another frame is.
      list.remove(frame);
      list.add(frame);
    } else if (dice === 3 && uses.has(frame)) {
      list.setMeta(frame, rng.int(3) + 1);
      list.touch(frame);
      uses.set(frame, now);
    } else if (dice > 3) {
      const evictable = [...uses.keys()].filter((each) => isEvictable(list.meta(each)));
      let taken = list.takeFree();
      if (taken < 0) {
        taken = list.takeVictim();
        if (taken < 0) {
          assertEquals(evictable, []);
          continue;
        }
        assert(evictable.includes(taken));
        assertEquals(age(taken), Math.min(...evictable.map(age)));
        victims++;
      }
      list.setMeta(taken, rng.int(3) + 1);
      list.touch(taken);
      list.add(taken);
      uses.set(taken, now);
    }
    assertEquals(list.evictable, [...uses.keys()].filter((f) => isEvictable(list.meta(f))).length);
  }
  assert(victims > 200);
});
