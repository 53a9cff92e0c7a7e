/**
 * Whose the blocks of keys and values are: 32 positions each, from one pool that all sequences
 * share. A block that is full is remembered by its ids and those before it, so that later prompts
 * which begin alike use it, too, while it is in use and, until somebody needs the room, after it.
 * Where a prompt goes on otherwise within a block, or that was not full, its beginning is copied;
 * an end that nobody has is gone on with where it lies.
 * Arithmetic over numbers of blocks: knows neither memories nor models.
 *
 * Nothing is looked up by a hash alone: a block's content is its 32 ids and the content before it,
 * and each content has a number of its own, so that a chain of blocks is compared exactly.
 */
import { check } from "../base/check.ts";
import { KV_BLOCK_POSITIONS as TOKENS } from "../memory/kv_layout.ts";
import { BlockList } from "./block_list.ts";
import { type BlockPart, BlockTexts } from "./block_texts.ts";
import { hashOf } from "./content_hash.ts";
import type {
  AdoptedContent,
  KvBlocksOptions,
  KvRequest,
  RememberedBlock,
} from "./kv_blocks_types.ts";

/** The content before all blocks of the model alone; others' are below LOST. */
export const ROOT = 0;
/** What follows cannot be remembered: another content has its place. */
const LOST = -1;

/** Sequences are known by their slots. */
export class KvBlocks {
  readonly #in: KvBlocksOptions;
  /** [sequences, tableBlocks], and how many of each there are. */
  readonly #tables: Int32Array;
  readonly #counts: Int32Array;
  /** Blocks that a sequence may still take, and those that were whole when it came. */
  readonly #reserved: Int32Array;
  readonly #sharedCounts: Int32Array;
  #reservedCount = 0;
  /** Blocks of a sequence that were remembered, and the content of the last one. */
  readonly #rememberedCounts: Int32Array;
  readonly #chains: Float64Array;
  /** Content of each of them, [sequences, tableBlocks], wherever it is remembered. */
  readonly #chainsAt: Float64Array;
  /** By block: how many sequences have it; */
  readonly #uses: Int32Array;
  /** number of its content, or 0: it has none that is remembered whole; and what it holds. */
  readonly #contents: Float64Array;
  readonly #texts: BlockTexts;
  /** Blocks by hash of their content and the one before. */
  readonly #byHash = new Map<number, number>();
  /** Blocks that nobody has, the next one to be used first. */
  readonly #free: BlockList;
  /** Blocks can be copied, and a text can go on behind any position of one. */
  readonly #copies: boolean;
  #contentCount = 0;
  #commonTokens = 0;

  constructor(options: KvBlocksOptions) {
    const { blocks, sequences, tableBlocks } = options;
    check(blocks >= tableBlocks && sequences >= 1, "a pool has room for a whole sequence");
    this.#in = options;
    this.#copies = options.onCopy !== undefined && options.canFollow === undefined;
    this.#tables = new Int32Array(sequences * tableBlocks);
    this.#counts = new Int32Array(sequences);
    this.#reserved = new Int32Array(sequences);
    this.#sharedCounts = new Int32Array(sequences);
    this.#rememberedCounts = new Int32Array(sequences);
    this.#chains = new Float64Array(sequences);
    this.#chainsAt = new Float64Array(sequences * tableBlocks);
    this.#uses = new Int32Array(blocks);
    this.#contents = new Float64Array(blocks);
    this.#texts = new BlockTexts(blocks);
    this.#free = new BlockList(blocks);
    for (let block = 0; block < blocks; block++) this.#free.addLast(block);
  }

  /** Blocks that a new sequence could take. */
  get availableBlocks(): number {
    return this.#free.count - this.#reservedCount;
  }

  /** Blocks that sequences have. */
  get usedBlocks(): number {
    return this.#in.blocks - this.#free.count;
  }

  /** Room that sequences have or were promised, in tokens. */
  get usedTokens(): number {
    return (this.#in.blocks - this.availableBlocks) * TOKENS;
  }

  /** What is used again is a multiple of so many tokens, or more than that. */
  get unitTokens(): number {
    return this.#copies ? 1 : TOKENS;
  }

  /** Blocks whose content can be used again, in use or not. */
  get rememberedBlocks(): number {
    return this.#byHash.size;
  }

  /** Of the sequence that was opened last, tokens that some sequence before it began with. */
  get commonTokens(): number {
    return this.#commonTokens;
  }

  /** The number of what a sequence's first tokens are, whole blocks; below 1: not remembered. */
  contentBefore(slot: number, tokens: number): number {
    return this.#chainsAt[slot * this.#in.tableBlocks + tokens / TOKENS - 1];
  }

  /**
   * Gives a sequence all the room that it will need, or nothing.
   * @returns for how many of its first ids keys and values are there already, less than
   *   `promptTokens`; -1: there is no room now.
   */
  open(slot: number, request: KvRequest): number {
    check(this.#counts[slot] === 0 && this.#reserved[slot] === 0, "a slot that is free");
    const { promptTokens, totalTokens } = request;
    const needed = blocksOf(totalTokens);
    check(promptTokens >= 1 && promptTokens <= totalTokens, "a prompt fits its sequence");
    check(needed <= this.#in.tableBlocks, "a sequence fits its table");
    const shared = this.#findShared(slot, request);
    const before = shared === 0
      ? request.root ?? ROOT
      : this.#contents[this.#blockAt(slot, shared - 1)];
    let asleep = 0;
    for (let i = 0; i < shared; i++) if (this.#uses[this.#blockAt(slot, i)] === 0) asleep++;
    if (this.availableBlocks - asleep < needed - shared) return -1;
    for (let i = 0; i < shared; i++) {
      this.#use(slot, i, this.#blockAt(slot, i));
      this.#chainsAt[slot * this.#in.tableBlocks + i] = this.#contents[this.#blockAt(slot, i)];
    }
    this.#counts[slot] = this.#sharedCounts[slot] = shared;
    this.#reserve(slot, needed - shared);
    this.#rememberedCounts[slot] = shared;
    this.#chains[slot] = before;
    const part = this.#findPart(before, shared * TOKENS, request);
    if (part !== null) this.#takePart(slot, part);
    return shared * TOKENS + (part?.tokens ?? 0);
  }

  /** Positions below `tokens` are about to be written. */
  grow(slot: number, tokens: number): void {
    while (this.#counts[slot] * TOKENS < tokens) {
      check(this.#reserved[slot] > 0, "a sequence takes what was kept for it");
      this.#reserve(slot, -1);
      this.#use(slot, this.#counts[slot]++, this.#take());
    }
  }

  /** Positions below `tokens` are written, those of new whole blocks exactly or not. */
  remember(slot: number, ids: Int32Array, tokens: number, isExact: boolean): void {
    const whole = Math.floor(tokens / TOKENS);
    for (let i = this.#rememberedCounts[slot]; i < whole; i++) {
      if (this.#chains[slot] !== LOST) {
        const block = this.#blockAt(slot, i);
        this.#chains[slot] = this.#name(block, this.#chains[slot], ids, i * TOKENS, isExact);
      }
      this.#chainsAt[slot * this.#in.tableBlocks + i] = this.#chains[slot];
      this.#rememberedCounts[slot] = i + 1;
    }
    if (this.#copies && tokens > whole * TOKENS) this.#rememberEnd(slot, ids, tokens, isExact);
  }

  /** The same of a block that is not whole. */
  #rememberEnd(slot: number, ids: Int32Array, tokens: number, isExact: boolean): void {
    const count = tokens % TOKENS, at = tokens - count;
    const block = this.#blockAt(slot, at / TOKENS);
    if (this.#texts.countOf(block) > 0) this.#texts.extend(block, ids, at, count, isExact);
    else this.#texts.begin(block, this.#chains[slot], ids, at, count, isExact);
  }

  /** Nothing that the sequence has computed is used again. */
  forgetOwn(slot: number): void {
    for (let i = this.#sharedCounts[slot]; i < this.#counts[slot]; i++) {
      this.#forget(this.#blockAt(slot, i));
    }
  }

  /** The sequence is over; what it leaves may be used again. */
  close(slot: number): void {
    this.#tidyEnd(slot);
    // The end of a sequence is the first to be forgotten.
    for (let i = this.#counts[slot] - 1; i >= 0; i--) this.#leave(this.#blockAt(slot, i));
    this.#counts[slot] = 0;
    this.#reserve(slot, -this.#reserved[slot]);
    this.#rememberedCounts[slot] = 0;
  }

  /** Forgets everything; no sequence is open. The slot has blocks for the whole context then. */
  clearFor(slot: number): void {
    check(this.usedBlocks === 0, "no sequence is open");
    for (let block = 0; block < this.#in.blocks; block++) this.#forget(block);
    for (let i = 0; i < this.#in.tableBlocks; i++) this.#in.onBlock(slot, i, i);
  }

  /** All that is remembered behind a root, each after the one that it follows. */
  remembered(root = ROOT): RememberedBlock[] {
    const byContent = new Map<number, number>();
    return [...this.#byHash.values()]
      .sort((a, b) => this.#contents[a] - this.#contents[b])
      .filter((block) => {
        const follows = this.#texts.beforeOf(block) === root ||
          byContent.has(this.#texts.beforeOf(block));
        if (follows) byContent.set(this.#contents[block], block);
        return follows;
      })
      .map((block) => this.#describe(block, byContent.get(this.#texts.beforeOf(block))));
  }

  /** Of what is remembered, that with which the ids begin, in order. */
  rememberedOf(ids: Int32Array, root = ROOT): RememberedBlock[] {
    const chain: RememberedBlock[] = [];
    let before = root;
    for (let at = 0; at + TOKENS <= ids.length; at += TOKENS) {
      const block = this.#byHash.get(hashOf(before, ids, at));
      if (block === undefined || !this.#texts.holds(block, before, ids, at)) break;
      chain.push(this.#describe(block, chain.at(-1)?.block));
      before = this.#contents[block];
    }
    return chain;
  }

  #describe(block: number, before: number | null = null): RememberedBlock {
    const ids = this.#texts.idsOf(block);
    return { block, before, ids, isExact: this.#texts.isExact(block) };
  }

  /**
   * Remembers content that somebody brings into a block from elsewhere, right after this call,
   * unless it is known already. What was not used for longest makes room.
   * @returns null where what is before it is not remembered, or there is no room.
   */
  adopt(
    { ids, before, isExact, root = ROOT }: AdoptedContent,
  ): { readonly block: number; readonly isKnown: boolean } | null {
    const content = before === null ? root : this.#contents[before];
    if (before !== null && content === 0) return null;
    const hash = hashOf(content, ids, 0);
    const known = this.#byHash.get(hash);
    if (known !== undefined) {
      if (!this.#texts.holds(known, content, ids, 0)) return null;
      const isBetter = isExact && !this.#texts.isExact(known) && this.#uses[known] === 0;
      if (isBetter) this.#texts.markExact(known);
      this.refresh(known);
      return { block: known, isKnown: !isBetter };
    }
    if (this.availableBlocks === 0) return null;
    const block = this.#take();
    this.#contents[block] = ++this.#contentCount;
    this.#texts.begin(block, content, ids, 0, TOKENS, isExact);
    this.#byHash.set(hash, block);
    this.refresh(block);
    return { block, isKnown: false };
  }

  /** The number of what a block holds, which no other content ever has; 0: nothing remembered. */
  contentOf(block: number): number {
    return this.#contents[block];
  }

  /** The block is the last one that is forgotten, for now. */
  refresh(block: number): void {
    if (this.#uses[block] > 0) return;
    this.#free.remove(block);
    this.#free.addLast(block);
  }

  /** Puts the blocks that a prompt can use again into the slot's table; returns how many. */
  #findShared(slot: number, request: KvRequest): number {
    const { ids, promptTokens, isExact, reuses = true, mayEndAt = () => true } = request;
    const most = reuses ? Math.floor((promptTokens - 1) / TOKENS) : 0;
    let before = request.root ?? ROOT;
    let shared = 0;
    for (; shared < most; shared++) {
      const block = this.#byHash.get(hashOf(before, ids, shared * TOKENS));
      if (block === undefined || !this.#texts.holds(block, before, ids, shared * TOKENS)) break;
      if (isExact && !this.#texts.isExact(block)) break;
      this.#tables[slot * this.#in.tableBlocks + shared] = block;
      before = this.#contents[block];
    }
    this.#commonTokens = shared * TOKENS;
    const { reuseUnit, canFollow } = this.#in;
    while (shared > 0) {
      const end = shared * TOKENS;
      const isWhole = (!isExact || end % reuseUnit === 0) && mayEndAt(end);
      const content = this.#contents[this.#blockAt(slot, shared - 1)];
      if (isWhole && (canFollow === undefined || canFollow(content, isExact))) break;
      shared--;
    }
    return shared;
  }

  /** Of a block behind those that are shared, what the prompt begins its next one with. */
  #findPart(before: number, at: number, request: KvRequest): BlockPart | null {
    const { ids, promptTokens, isExact, reuses = true, mayEndAt = () => true } = request;
    if (!reuses || !this.#copies || isExact && this.#in.reuseUnit > 1) return null;
    const most = Math.min(TOKENS, promptTokens - at) - 1;
    return this.#texts.longest({ before, ids, at, most, isExact, mayEndAt });
  }

  /** An end that another one begins with is not kept: the same prompt may come again and again. */
  #tidyEnd(slot: number): void {
    const index = this.#rememberedCounts[slot];
    if (index >= this.#counts[slot]) return;
    const end = this.#blockAt(slot, index);
    if (this.#texts.countOf(end) > 0 && this.#texts.isCovered(end)) this.#texts.drop(end);
  }

  /** The slot's next block begins as that one does. */
  #takePart(slot: number, { block, tokens }: BlockPart): void {
    // Of a whole block less than all is taken: this is an end, and nothing of it is written over.
    const isAll = this.#texts.countOf(block) === tokens;
    const to = isAll && this.#uses[block] === 0 ? block : this.#take();
    this.#reserve(slot, -1);
    this.#use(slot, this.#counts[slot]++, to);
    if (to !== block) this.#in.onCopy!(block, to);
  }

  /**
   * Remembers what is in a block, unless it is remembered elsewhere.
   * @returns the number of the content, or LOST.
   */
  #name(
    block: number,
    before: number,
    ids: Int32Array,
    at: number,
    isExact: boolean,
  ): number {
    const hash = hashOf(before, ids, at);
    const other = this.#byHash.get(hash);
    if (other === block) return this.#contents[block];
    const isOthers = other !== undefined && this.#texts.holds(other, before, ids, at);
    if (other !== undefined && (!isOthers || !isExact || this.#texts.isExact(other))) {
      // Whose place another block has is remembered nowhere.
      this.#texts.drop(block);
      return isOthers ? this.#contents[other] : LOST;
    }
    const content = other === undefined ? ++this.#contentCount : this.#contents[other];
    // The exact one takes the other's place.
    if (other !== undefined) this.#forget(other);
    this.#contents[block] = content;
    this.#texts.drop(block);
    this.#texts.begin(block, before, ids, at, TOKENS, isExact);
    this.#byHash.set(hash, block);
    return content;
  }

  #forget(block: number): void {
    if (this.#texts.countOf(block) === 0) return;
    if (this.#contents[block] !== 0) {
      this.#byHash.delete(hashOf(this.#texts.beforeOf(block), this.#texts.idsOf(block), 0));
    }
    this.#contents[block] = 0;
    this.#texts.drop(block);
    if (this.#uses[block] > 0) return;
    this.#free.remove(block);
    this.#free.addFirst(block);
  }

  /** A block for new content. */
  #take(): number {
    const block = this.#free.first;
    this.#forget(block);
    return block;
  }

  #use(slot: number, index: number, block: number): void {
    if (this.#uses[block]++ === 0) this.#free.remove(block);
    this.#tables[slot * this.#in.tableBlocks + index] = block;
    this.#in.onBlock(slot, index, block);
  }

  #leave(block: number): void {
    if (--this.#uses[block] > 0) return;
    if (this.#texts.countOf(block) === 0) this.#free.addFirst(block);
    else this.#free.addLast(block);
  }

  #reserve(slot: number, count: number): void {
    this.#reserved[slot] += count;
    this.#reservedCount += count;
  }

  #blockAt(slot: number, index: number): number {
    return this.#tables[slot * this.#in.tableBlocks + index];
  }
}

/** Blocks of so many positions. */
function blocksOf(tokens: number): number {
  return Math.ceil(tokens / TOKENS);
}
