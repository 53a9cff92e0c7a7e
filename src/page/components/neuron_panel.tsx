/** What the model's neurons do, now and a while back: layer by layer, as it happens. */
import { useEffect } from "preact/hooks";
import type { Neurons } from "../state/app_state.ts";
import { total } from "../server/neurons.ts";
import type { LayerSample, NeuronSample } from "../types.ts";
import { useApp, useAppState } from "./context.ts";
import { IconButton } from "./icon.tsx";
import { NeuronHistory } from "./neuron_history.tsx";
import { LayerBars, LayerTable } from "./neuron_layers.tsx";

export function NeuronPanel() {
  const app = useApp();
  const neurons = useAppState((state) => state.neurons);
  useEffect(() => {
    app.neurons.start();
    return () => app.neurons.stop();
  }, []);
  return (
    <aside class="neurons" aria-label="Neurons">
      <div class="neurons-head">
        <h2>Neurons</h2>
        <span class={`live${neurons === null || neurons.isIdle ? "" : " is-on"}`} role="status">
          {neurons === null || neurons.isIdle ? "idle" : "live"}
        </span>
        <IconButton
          icon="close"
          label="Hide neurons"
          onClick={() => app.store.set({ isNeuronsOpen: false })}
        />
      </div>
      {neurons !== null && <NeuronBody neurons={neurons} />}
    </aside>
  );
}

function NeuronBody({ neurons }: { neurons: Neurons }) {
  const { samples, layerCount, model, isSparse } = neurons;
  if (layerCount === 0) {
    return <p class="faint">{model} is not in memory, or its neurons are not counted.</p>;
  }
  const last = samples.at(-1);
  if (last === undefined) {
    return (
      <p class="faint">
        Ask something: while the answer comes, each layer shows which of its neurons fire.
      </p>
    );
  }
  const sum = total(last.layers);
  return (
    <>
      <p class="faint">{wordsFor(neurons, sum)}</p>
      <Numbers sum={sum} sample={last} isStreamed={neurons.isStreamed} />
      <h3>Layers</h3>
      <LayerBars layers={last.layers} />
      <Legend sum={sum} />
      <h3>The last moments</h3>
      <NeuronHistory samples={samples} />
      <p class="faint small">
        A row is a layer, the first one on top; a column is half a second of work, or a token.
        Stronger: more of the layer was computed.
      </p>
      {isSparse || neurons.isStreamed
        ? <LayerTable neurons={neurons} layers={last.layers} />
        : null}
    </>
  );
}

function wordsFor({ isSparse, isStreamed, model }: Neurons, sum: LayerSample): string {
  if (!isSparse && !isStreamed) {
    return `${model} is dense: every neuron of every layer is computed for every token.`;
  }
  if (sum.skipped === 0) return `${model}: all neurons are computed just now, as prompts need it.`;
  return `${model} leaves out neurons that do not fire: their weights are never touched.`;
}

function Numbers({ sum, sample, isStreamed }: {
  readonly sum: LayerSample;
  readonly sample: NeuronSample;
  readonly isStreamed: boolean;
}) {
  const looked = sum.cacheHits + sum.cacheMisses;
  const seconds = sample.ms / 1000;
  const numbers: [string, string][] = [
    ["skipped", percent(sum.skipped, sum.neurons)],
    ["computed", percent(sum.hot + sum.cold, sum.neurons)],
  ];
  if (isStreamed) {
    numbers.push(
      ["cache hits", looked === 0 ? "–" : percent(sum.cacheHits, looked)],
      ["from disk", `${(sum.diskBytes / 1e6 / seconds).toFixed(1)} MB/s`],
    );
  }
  return (
    <dl class="numbers">
      {numbers.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Legend({ sum }: { sum: LayerSample }) {
  const parts = [["hot", sum.hot], ["cold", sum.cold], ["skipped", sum.skipped]] as const;
  return (
    <ul class="legend">
      {parts.map(([kind, count]) => (
        <li key={kind}>
          <span class={`key ${kind}`} aria-hidden="true" /> {NAMES[kind]}{" "}
          <b>{percent(count, sum.neurons)}</b>
        </li>
      ))}
    </ul>
  );
}

const NAMES = { hot: "hot", cold: "cold, computed", skipped: "skipped" };

export function percent(part: number, whole: number): string {
  const share = whole === 0 ? 0 : 100 * part / whole;
  return `${share >= 99.95 || share === 0 ? share.toFixed(0) : share.toFixed(1)} %`;
}
