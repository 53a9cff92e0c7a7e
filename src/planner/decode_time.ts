/**
 * How long a token takes, as PowerInfer-2's planner reckons, for a machine whose hot part is no
 * accelerator and whose reading threads may share the cores that compute; layers are alike, so all
 * of it is of a token:
 *
 *   fixed   = bytes read whole / (0.9 · R)                R: what kernels read with these threads
 *   gates   = gates of used units / (0.9 · R)             way "gates", "resident"
 *           = gates of predicted neurons / (0.52 · R)     way "predictor"; predictors are fixed
 *   neurons = up and down of firing neurons / (0.52 · R) + factors of used units / (0.9 · R)
 *   ahead   = predictors / (0.9 · R)         way "predictor": the layer before asks, too
 *   cache   = firing · 30 ns + misses · 400 ns, shared by the threads
 *   reads   = misses of what fires                        way "gates": all but the gate
 *           = misses of what is predicted                 way "predictor": the whole neuron
 *           = the same for gates, and what fires of it for the rest, where that is faster: each of
 *             these begins in its layer
 *   ioCpu   = reads · core seconds of a read / threads, where computing takes all cores; else 0
 *   wait    = layers · latency · (1 − e^(−r)), r: reads of a layer that begin in it
 *   disk    = reads / reads a second
 *   token   = fixed + joins + ahead + block
 *   block   = max(gates + neurons + cache + ioCpu, (1 − 0.5) · gates + disk + wait)
 *                                            way "gates": all reads begin in their layer
 *           = max(gates + neurons + cache + ioCpu + wait, disk)
 *                                            way "predictor": 0.03 of the reads do
 *
 * By gates, reads begin when the first gates of a layer are known (0.5: calibration.ts) and must be
 * there before the layer ends: nothing of the next layer hides them. While ranks wait for these,
 * the threads that read have the cores, which is why ioCpu is on one side only. By predictors, a
 * layer asks for the next one's: they arrive while it and attention are computed.
 */
import {
  ASSUMED_CONTEXT_TOKENS,
  CLAIM_SECONDS,
  DENSE_SHARE_OF_READ,
  GATE_SHADOW,
  JOIN_SECONDS,
  LISTED_SHARE_OF_READ,
  LOOK_UP_SECONDS,
  READER_WAKE_SECONDS,
  UNFORESEEN_SHARE,
} from "./calibration.ts";
import { readSpeed } from "./disk_speed.ts";
import { type MachineProfile, readGBps } from "./machine_profile.ts";
import type { UnitSums } from "./model_bytes.ts";
import type { ExpectedDecode, Way } from "./plan_types.ts";

export interface DecodeInput {
  readonly way: Exclude<Way, "units">;
  readonly profile: MachineProfile;
  readonly threads: number;
  readonly ioWorkers: number;
  readonly layers: number;
  readonly sums: UnitSums;
  /** False: neurons are never silent, and read row after row where they are in memory. */
  readonly isSparse: boolean;
  /** Neurons that fire for a token. */
  readonly firing: number;
  readonly hitRate: number;
  /** The same of neurons that predictors name in vain. */
  readonly vainHitRate: number;
  /** Bytes of a token that are read whole, without gates, keys and values. */
  readonly fixedBytes: number;
  /** Those of them that are predictors'. */
  readonly predictorBytes: number;
  /** Predicted neurons for each that fires. */
  readonly predictedPerActive: number;
  /** Bytes of keys and values of the whole context. */
  readonly contextBytes: number;
  readonly contextLength: number;
  /** Whether gates are read before the rest; left out: where that is faster. */
  readonly readsGatesFirst?: boolean;
}

export function expectDecode(input: DecodeInput): ExpectedDecode {
  const { way, sums, firing, hitRate, threads, layers } = input;
  const rate = readGBps(input.profile, threads) * 1e9;
  const isListed = input.isSparse || way !== "resident";
  const dense = rate * DENSE_SHARE_OF_READ;
  const listed = isListed ? rate * LISTED_SHARE_OF_READ : dense;
  const predicted = way === "predictor"
    ? Math.min(sums.neurons, input.predictedPerActive * firing)
    : 0;
  const contextBytes = input.contextBytes *
    Math.min(1, ASSUMED_CONTEXT_TOKENS / input.contextLength);
  const gateBytes = way === "predictor" ? predicted * sums.gatePerNeuron : sums.usedGateBytes;
  const neuronBytes = firing * sums.restPerNeuron;
  const looked = way === "predictor" ? predicted : way === "gates" ? firing : 0;
  const missing = (1 - hitRate) * Math.min(looked, firing) +
    (1 - input.vainHitRate) * Math.max(0, looked - firing);
  const fixed = (input.fixedBytes + contextBytes) / dense;
  const gates = gateBytes / (way === "predictor" ? listed : dense);
  const neurons = neuronBytes / listed + sums.usedFactorsBytes / dense;
  const joins = (2 * layers + 1) * JOIN_SECONDS;
  const cache = (looked * LOOK_UP_SECONDS + missing * CLAIM_SECONDS) / threads;
  const firingMissing = (1 - hitRate) * Math.min(looked, firing);
  const work = gates + neurons + cache;
  const blockOf = ({ cpu, seconds, waitSeconds }: DiskTime) =>
    way === "predictor"
      ? Math.max(work + cpu + waitSeconds, seconds)
      : Math.max(work + cpu, (1 - GATE_SHADOW) * gates + seconds + waitSeconds);
  const whole = diskTime(input, missing);
  const inTwo = diskTimeInTwo(input, missing, firingMissing);
  const readsGatesFirst = way === "predictor" &&
    (input.readsGatesFirst ?? blockOf(inTwo) < blockOf(whole));
  const disk = readsGatesFirst ? inTwo : whole;
  const computing = work + disk.cpu;
  const block = blockOf(disk);
  const ahead = way === "predictor" && missing > 0 ? input.predictorBytes / dense : 0;
  const seconds = fixed + joins + ahead + block;
  const parts = {
    ...{ fixed, gates, neurons, joins, ahead, cache },
    ...{ ioCpu: disk.cpu, diskWait: block - computing },
  };
  return {
    tokensPerSecond: 1 / seconds,
    hitRate,
    readsGatesFirst,
    firingNeurons: firing,
    diskReads: disk.reads,
    diskBytes: disk.bytes,
    memoryBytes: input.fixedBytes + contextBytes + gateBytes + neuronBytes + sums.usedFactorsBytes,
    parts: inMs(parts),
    bottleneck: bottleneckOf(parts),
  };
}

/** What a token's reads take. */
interface DiskTime {
  readonly reads: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly waitSeconds: number;
  /** Of the threads that compute. */
  readonly cpu: number;
}

/** Each neuron that is missing is one read. */
function diskTime(input: DecodeInput, reads: number): DiskTime {
  const { way, sums } = input;
  if (way === "resident") return NO_READS;
  return timeOfReads(input, reads, {
    readBytes: sums.slotBytes[way],
    shareInLayer: way === "predictor" ? UNFORESEEN_SHARE : 1,
  });
}

/** Gates of all that is missing, and the rest of what fires of it. */
function diskTimeInTwo(input: DecodeInput, missing: number, firing: number): DiskTime {
  const { gatePerNeuron, restPerNeuron } = input.sums;
  const gates = timeOfReads(input, missing, {
    readBytes: gatePerNeuron,
    shareInLayer: UNFORESEEN_SHARE,
  });
  const rest = timeOfReads(input, firing, { readBytes: restPerNeuron, shareInLayer: 1 });
  return {
    reads: gates.reads + rest.reads,
    bytes: gates.bytes + rest.bytes,
    seconds: gates.seconds + rest.seconds,
    waitSeconds: gates.waitSeconds + rest.waitSeconds,
    cpu: gates.cpu + rest.cpu,
  };
}

const NO_READS: DiskTime = { reads: 0, bytes: 0, seconds: 0, waitSeconds: 0, cpu: 0 };

/** shareInLayer: of these reads, begin in the layer that waits for them. */
function timeOfReads(
  { profile, ioWorkers, threads, layers }: DecodeInput,
  reads: number,
  { readBytes, shareInLayer }: { readBytes: number; shareInLayer: number },
): DiskTime {
  if (reads === 0) return NO_READS;
  const { readsPerS, latencySeconds, cpuSeconds } = readSpeed(profile.disk, readBytes, ioWorkers);
  const begunInLayer = shareInLayer * reads / layers;
  const ofCore = cpuSeconds + (ioWorkers > 0 ? READER_WAKE_SECONDS : 0);
  return {
    reads,
    bytes: reads * readBytes,
    seconds: reads / readsPerS,
    waitSeconds: layers * latencySeconds * (1 - Math.exp(-begunInLayer)),
    cpu: ioWorkers === 0 || threads >= profile.cores ? reads * ofCore / threads : 0,
  };
}

type Parts = ExpectedDecode["parts"];

function inMs(parts: Parts): Parts {
  return Object.fromEntries(Object.entries(parts).map(([name, s]) => [name, 1e3 * s])) as Parts;
}

function bottleneckOf(parts: Parts): ExpectedDecode["bottleneck"] {
  const memory = parts.fixed + parts.gates + parts.neurons + parts.ahead + parts.cache;
  const { joins, ioCpu, diskWait } = parts;
  const most = Math.max(memory, joins, ioCpu, diskWait);
  if (most === memory) return "memory";
  return most === diskWait ? "disk" : most === joins ? "joins" : "io cpu";
}
