/**
 * Experts that are normalised apart, on a GPU that has all of a model: the router, the chosen ones
 * and the one that every token uses read a norm of their own each, and what both kinds give is
 * normalised before it is added up. Knows plans; not what becomes of the sum.
 */
import { chooseExperts, type ProgramBuilder, type Rows } from "../../../gpu/mod.ts";
import { check } from "../../base/check.ts";
import type { ApartPlan } from "../plan/plan_inputs.ts";
import { addExperts, addShared, type ExpertsPlace, type ExpertsWeights } from "./gpu_experts.ts";
import type { GpuLoader } from "./gpu_weights.ts";
import { addNorm, multiply } from "./layer_operations.ts";
import { type GpuNorm, loadNorm } from "./layer_weights.ts";
import type { ModelConfig } from "../../model/types.ts";

export type ApartNorms = Readonly<Record<keyof ApartPlan, GpuNorm>>;

/** @throws {GpuOutOfMemoryError} when the GPU has no room for them. */
export async function loadApart(
  by: { loader: GpuLoader; config: ModelConfig },
  plan: ApartPlan | null,
): Promise<ApartNorms | null> {
  return plan && {
    routerNorm: await loadNorm(by, plan.routerNorm),
    sharedNorm: await loadNorm(by, plan.sharedNorm),
    sharedPostNorm: await loadNorm(by, plan.sharedPostNorm),
    expertsPostNorm: await loadNorm(by, plan.expertsPostNorm),
  };
}

/** @returns post(experts(norm(residual))) + post(shared(norm(residual))). */
export function addExpertsApart(
  builder: ProgramBuilder,
  weights: ExpertsWeights & { readonly apart: ApartNorms },
  place: ExpertsPlace,
  isApart: boolean,
): Rows {
  const { config, space: { residual, normed, partial, given, router: logits }, routes } = place;
  const { router, choiceBias, scales, shared, norm, apart } = weights;
  check(shared !== null && norm !== null, "both kinds of experts read a norm");
  check(router !== null, "they are not shared out with threads");
  const normalize = (by: GpuNorm, rows: { from: Rows; to: Rows; accumulate?: boolean }) =>
    addNorm(builder, config, by, rows);
  const target = { to: partial, accumulate: false, scale: 1, next: null };
  const step = { x: normed, target, isApart };
  normalize(apart.routerNorm, { from: residual, to: normed });
  multiply(builder, router, {
    x: normed,
    to: logits,
    scale: 1 / Math.sqrt(config.embeddingLength),
  });
  chooseExperts(builder, { logits, config: config.experts!, choiceBias, scales, routes });
  normalize(norm, { from: residual, to: normed });
  addExperts(builder, { ...weights, shared: null }, place, step);
  // What each of a token's experts gave was used: its place takes the sum.
  normalize(apart.expertsPostNorm, { from: partial, to: given });
  normalize(apart.sharedNorm, { from: residual, to: normed });
  addShared(builder, shared, weights, place, step);
  normalize(apart.sharedPostNorm, { from: partial, to: given, accumulate: true });
  return given;
}
