import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { WorkerError } from "../../src/base/errors.ts";
import { openDisk } from "../../src/io/disk.ts";
import {
  canReadByKernel,
  type Kernel,
  KernelQueue,
  type KernelQueueOptions,
  openKernelQueue,
} from "../../src/io/kernel_queue.ts";
import { DONE, FAILED, NO_TICKET } from "../../src/io/read_queue.ts";
import { byteAt, FakeDisk, type FakeDiskOptions } from "../support/fake_disk.ts";
import { Rng } from "../support/rng.ts";
import { assertBytes, times } from "./read_world.ts";

/** A kernel in a test's hands: reads end in any order, are cut short or refused on purpose. */
class FakeKernel implements Kernel {
  readonly capacity = 16;
  /** What becomes of the N-th read, from 0: bytes that come; left out: all of them. */
  result: (read: number) => number | undefined = () => undefined;
  /** How many of what is asked begin with a call; a call that begins none says so with 0. */
  most = Infinity;
  isClosed = false;
  readonly #disk: FakeDisk;
  readonly #rng = new Rng(5);
  readonly #places: { bytes: Uint8Array; address: number }[] = [];
  #asked: { tag: number; address: number; size: number; offset: number }[] = [];
  #begun: { tag: number; came: number }[] = [];
  #ended: { tag: number; came: number }[] = [];
  #reads = 0;

  constructor(disk: FakeDisk) {
    this.#disk = disk;
  }

  addressOf(bytes: Uint8Array): number {
    const address = (this.#places.length + 1) * 2 ** 36;
    this.#places.push({ bytes, address });
    return address;
  }

  ask(tag: number, address: number, size: number, offset: number): void {
    assertEquals([address % 512, size % 512, offset % 512], [0, 0, 0], "whole sectors");
    assert(![...this.#asked, ...this.#begun].some((each) => each.tag === tag), "a tag is free");
    this.#asked.push({ tag, address, size, offset });
  }

  begin(): number {
    const now = this.#asked.splice(0, this.most);
    for (const { tag, address, size, offset } of now) {
      const place = this.#places.findLast((each) => each.address <= address)!;
      const left = Math.max(0, this.#disk.sizeBytes - offset);
      const came = this.result(this.#reads++) ?? Math.min(size, left);
      for (let i = 0; i < came; i++) place.bytes[address - place.address + i] = byteAt(offset + i);
      this.#begun.push({ tag, came });
    }
    return now.length;
  }

  wait(least: number): number {
    const count = Math.min(this.#begun.length, least + this.#rng.int(3));
    this.#ended = times(count, () => {
      const which = this.#rng.int(this.#begun.length);
      return this.#begun.splice(which, 1)[0];
    });
    return count;
  }

  tag(i: number): number {
    return this.#ended[i].tag;
  }

  came(i: number): number {
    return this.#ended[i].came;
  }

  close(): void {
    this.isClosed = true;
  }
}

function makeWorld(
  options: Partial<KernelQueueOptions> = {},
  diskOptions: FakeDiskOptions = {},
) {
  const disk = new FakeDisk({ sectorBytes: 512, ...diskOptions });
  const kernel = new FakeKernel(disk);
  const memories = times(2, () => new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true }));
  const isEnded = () => false;
  const queue = new KernelQueue(kernel, { disk, memories, isEnded, ...options });
  const arena = (index: number) => new Uint8Array(memories[index].buffer);
  return { disk, kernel, queue, arena };
}

Deno.test("KernelQueue: every byte comes to its address, whatever ends first", () => {
  const { queue, kernel, arena } = makeWorld({ gapBytesMax: 700 });
  const rng = new Rng(3);
  for (let round = 0; round < 200; round++) {
    kernel.most = 1 + rng.int(20);
    const count = 1 + rng.int(40);
    const tickets = new Int32Array(count);
    const reads = times(count, (i) => ({ offsetBytes: 0, sizeBytes: 0, address: i * 6400 }));
    let end = rng.int(2e8) * 4096;
    reads.forEach((read, i) => {
      const isWhole = rng.int(4) === 0;
      read.offsetBytes = isWhole ? Math.ceil(end / 512) * 512 : end + 64 * rng.int(12);
      read.sizeBytes = isWhole ? 1024 : 64 * (1 + rng.int(90));
      end = read.offsetBytes + read.sizeBytes;
      const { offsetBytes, sizeBytes, address } = read;
      tickets[i] = queue.merge(rng.int(3), offsetBytes, sizeBytes, round & 1, address);
    });
    if (rng.int(2) === 0) queue.flush();
    assertEquals(queue.waitAll(tickets, count), NO_TICKET);
    for (const ticket of tickets) assertEquals(queue.state(ticket), DONE);
    for (const read of reads) assertBytes(arena(round & 1), read);
  }
});

Deno.test("KernelQueue: neighbours are one read, and one ticket", () => {
  const { queue, kernel } = makeWorld({ gapBytesMax: 512 });
  let reads = 0;
  kernel.result = () => void reads++;
  const first = queue.merge(1, 4096, 512, 0, 0);
  const second = queue.merge(1, 10_000, 500, 0, 512);
  assertEquals(queue.before(second), first);
  assertEquals(queue.merge(1, 11_012, 500, 0, 2048), second);
  assert(queue.merge(1, 11_500, 500, 0, 4096) !== second, "it lies before the end");
  queue.wait(queue.ask(1, 2 ** 33, 512, 1, 0));
  assertEquals(reads, 4);
});

Deno.test("KernelQueue: a read that is cut short or refused is made once more", () => {
  for (const came of [0, 511, -5]) {
    const { queue, kernel, arena, disk } = makeWorld();
    kernel.result = () => came;
    assertEquals(queue.wait(queue.ask(1, 4096, 512, 0, 1024)), DONE);
    assertEquals(queue.wait(queue.ask(1, 5000, 100, 0, 0)), DONE);
    assertEquals(disk.reads.length, 2);
    assertBytes(arena(0), { offsetBytes: 4096, sizeBytes: 512, address: 1024 });
    assertBytes(arena(0), { offsetBytes: 5000, sizeBytes: 100, address: 0 });
  }
});

// fault 38: EIO, and reads that stay short.
Deno.test("KernelQueue: what fails twice says what, and what to do; later reads go on", () => {
  for (const [fault, words] of [["refused", "EIO"], ["short", "only 256 came, twice"]] as const) {
    const { queue, kernel, arena } = makeWorld({}, {
      fault: (read) => read === 0 ? fault : "none",
    });
    kernel.result = (read) => read === 0 ? -5 : undefined;
    const bad = queue.ask(1, 4096, 512, 0, 0);
    assertEquals(queue.wait(bad), FAILED);
    // Its entry comes again.
    for (let i = 0; i < 40; i++) queue.wait(queue.ask(1, 8192, 512, 0, 512));
    assertEquals([queue.state(bad), queue.wait(bad)], [FAILED, FAILED]);
    assertStringIncludes(queue.failure(bad), `512 bytes at byte 4096 of "fake.ganglion"`);
    assertStringIncludes(queue.failure(bad), words);
    assertStringIncludes(queue.failure(bad), "check the disk");
    assertBytes(arena(0), { offsetBytes: 8192, sizeBytes: 512, address: 512 });
  }
});

Deno.test("KernelQueue: reads of a file that has changed fail", () => {
  const { queue, kernel, disk } = makeWorld();
  kernel.result = () => -5;
  assertEquals(queue.wait(queue.ask(1, 0, 512, 0, 0)), DONE);
  disk.unchanged = false;
  for (const size of [512, 100]) {
    const ticket = queue.ask(1, 0, size, 0, 0);
    assertEquals(queue.wait(ticket), FAILED);
    assertStringIncludes(queue.failure(ticket), "changed while it was in use");
  }
});

Deno.test("KernelQueue: at the file's end fewer bytes come, and that is all right", () => {
  const { queue, arena, disk } = makeWorld({}, { sizeBytes: 10_000 });
  assertEquals(queue.wait(queue.ask(1, 9984, 16, 0, 0)), DONE);
  assertBytes(arena(0), { offsetBytes: 9984, sizeBytes: 16, address: 0 });
  assertEquals(disk.reads.length, 0);
});

Deno.test("KernelQueue: nobody waits when reading was ended, or the kernel takes nothing", () => {
  const { queue, kernel } = makeWorld({ isEnded: () => true });
  assertThrows(() => queue.wait(queue.ask(1, 0, 512, 0, 0)), WorkerError, "ended");
  const stuck = makeWorld();
  stuck.kernel.most = 0;
  assertThrows(() => stuck.queue.ask(1, 0, 512, 0, 0), WorkerError, "takes no reads");
  queue.close();
  assert(kernel.isClosed);
});

// Without `--allow-ffi` there are no such reads: the suite has no such permission.
const mayCall = Deno.permissions.querySync({ name: "ffi" }).state === "granted";

Deno.test("canReadByKernel: not without permission", { ignore: mayCall }, () => {
  assert(!canReadByKernel(new URL("../../deno.json", import.meta.url).pathname));
});

/** Whether a filter of the kernel's is on this process; its own files Deno does not open. */
function forbidsCalls(): boolean {
  const { stdout } = new Deno.Command("cat", { args: ["/proc/self/status"] }).outputSync();
  return !/^Seccomp:\t0$/m.test(new TextDecoder().decode(stdout));
}

/** Whether a file is where it cannot be read past the cache. */
function isInMemory(path: string): boolean {
  const disk = openDisk(path);
  disk.close();
  return disk.sectorBytes === 0;
}

const notHere = mayCall ? "" : " [skipped: deno task test:ffi runs it]";

Deno.test(`openKernelQueue: every byte of a file comes to its address${notHere}`, {
  ignore: !mayCall || Deno.build.os !== "linux",
}, () => {
  const path = Deno.makeTempFileSync({ prefix: "ganglion-kernel-" });
  const size = 3 * 2 ** 20 + 777;
  try {
    Deno.writeFileSync(path, Uint8Array.from({ length: size }, (_, i) => byteAt(i)));
    if (!canReadByKernel(path)) {
      // A container that forbids the calls, or a folder in memory: threads read there.
      assert(forbidsCalls() || isInMemory(path), "nothing forbids the calls, and none are made");
      console.log(`no reads by the kernel of ${path}: nothing to find out`);
      return;
    }
    const memory = new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true });
    const queue = openKernelQueue(openDisk(path), {
      memories: [memory],
      isEnded: () => false,
      gapBytesMax: 2048,
    });
    const rng = new Rng(9);
    const bytes = new Uint8Array(memory.buffer);
    const tickets = new Int32Array(600);
    const offsets = tickets.map(() => 64 * rng.int(size / 64 - 100)).sort();
    offsets.forEach((offset, i) => tickets[i] = queue.merge(1, offset, 4160, 0, i * 4608));
    assertEquals(queue.waitAll(tickets, tickets.length), NO_TICKET);
    offsets.forEach((offsetBytes, i) =>
      assertBytes(bytes, { offsetBytes, sizeBytes: 4160, address: i * 4608 })
    );
    assertEquals(queue.wait(queue.ask(2, 2 ** 20, 2 ** 20, 0, 0)), DONE);
    assertBytes(bytes, { offsetBytes: 2 ** 20, sizeBytes: 2 ** 20, address: 0 });
    queue.close();
  } finally {
    Deno.removeSync(path);
  }
});
