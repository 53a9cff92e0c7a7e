/** Symbolic sizes, graphs of steps and plans of their memory: what other folders may use. */
export { type Bounds, isAlwaysAtMost, mostOf } from "./bounds.ts";
export { BUCKET_TOKENS, compileExpr, type ExprProgram } from "./compile.ts";
export { B, constant, Expr, type ExprLike, N, P, S, type SymbolValues, toExpr } from "./expr.ts";
export {
  type MemoryPlan,
  type MemoryPlanOptions,
  type Place,
  planMemory,
  type PlannedBuffer,
} from "./memory_plan.ts";
export {
  type ElementType,
  type GraphOp,
  type GraphTensor,
  Liveness,
  type LiveRange,
  StepGraph,
  type TensorOptions,
} from "./step_graph.ts";
