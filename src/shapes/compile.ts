/**
 * Expressions as programs of a few words, for sizes that are asked for while a model runs: nothing
 * is allocated.
 */
import { type Expr, type ExprLike, toExpr } from "./expr.ts";

const PUSH_CONSTANT = 0;
const PUSH_N = 1;
const PUSH_P = 2;
const PUSH_B = 3;
const ADD = 4;
const MULTIPLY = 5;
/** ⌈top / operand⌉. */
const CEIL_DIV = 6;
/** max(0, top). */
const POSITIVE = 7;

/** An expression in postfix form: pairs of an opcode and its operand. */
export class ExprProgram {
  readonly #code: Float64Array;
  readonly #stack: Float64Array;

  constructor(e: Expr) {
    const words: number[] = [];
    const depth = emit(e, words);
    this.#code = Float64Array.from(words);
    this.#stack = new Float64Array(depth);
  }

  /** Allocates nothing. */
  evaluate(n: number, p: number, b: number): number {
    const code = this.#code;
    const stack = this.#stack;
    let top = -1;
    for (let at = 0; at < code.length; at += 2) {
      const operand = code[at + 1];
      switch (code[at]) {
        case PUSH_CONSTANT:
          stack[++top] = operand;
          break;
        case PUSH_N:
          stack[++top] = n;
          break;
        case PUSH_P:
          stack[++top] = p;
          break;
        case PUSH_B:
          stack[++top] = b;
          break;
        case ADD:
          top--;
          stack[top] += stack[top + 1];
          break;
        case MULTIPLY:
          top--;
          stack[top] *= stack[top + 1];
          break;
        case CEIL_DIV:
          stack[top] = Math.ceil(stack[top] / operand);
          break;
        default:
          stack[top] = Math.max(0, stack[top]);
      }
    }
    return stack[0];
  }
}

/** The program whose value is that of `e`. */
export function compileExpr(e: ExprLike): ExprProgram {
  return new ExprProgram(toExpr(e));
}

/** Appends what leaves the value of `e` on the stack; returns how deep that becomes. */
function emit({ terms }: Expr, words: number[]): number {
  if (terms.length === 0) words.push(PUSH_CONSTANT, 0);
  let deepest = 1;
  terms.forEach(({ coefficient, atoms }, index) => {
    words.push(PUSH_CONSTANT, coefficient);
    const below = index === 0 ? 1 : 2;
    deepest = Math.max(deepest, below);
    for (const atom of atoms) {
      let depth = 1;
      if (atom.kind === "symbol") {
        words.push({ N: PUSH_N, P: PUSH_P, B: PUSH_B }[atom.symbol], 0);
      } else {
        depth = emit(atom.of, words);
        if (atom.kind === "ceilDiv") words.push(CEIL_DIV, atom.by);
        else words.push(POSITIVE, 0);
      }
      deepest = Math.max(deepest, below + depth);
      words.push(MULTIPLY, 0);
    }
    if (index > 0) words.push(ADD, 0);
  });
  return deepest;
}

/** Contexts are padded up to multiples of this before sizes are computed (Transformer-Lite). */
export const BUCKET_TOKENS = 64;
