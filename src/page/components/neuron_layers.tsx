/** Layers side by side: as bars for those who see them, as a table with numbers for everybody. */
import type { Neurons } from "../state/app_state.ts";
import { total } from "../server/neurons.ts";
import type { LayerSample } from "../types.ts";
import { percent } from "./neuron_panel.tsx";

export function LayerBars({ layers }: { layers: readonly LayerSample[] }) {
  const { neurons, skipped } = total(layers);
  const said = `${layers.length} layers, ${percent(skipped, neurons)} of the neurons skipped`;
  return (
    <div class={`bars${layers.length > 40 ? " is-many" : ""}`} role="img" aria-label={said}>
      {layers.map((layer, index) => <LayerBar key={index} index={index} layer={layer} />)}
    </div>
  );
}

function LayerBar({ index, layer }: { index: number; layer: LayerSample }) {
  const { neurons, hot, cold, skipped } = layer;
  const share = (count: number) => `${neurons === 0 ? 0 : 100 * count / neurons}%`;
  const said = `Layer ${index + 1}: ${percent(hot, neurons)} hot, ` +
    `${percent(cold, neurons)} cold, ${percent(skipped, neurons)} skipped`;
  return (
    <div class="bar" title={said}>
      <span class="bar-name">{index + 1}</span>
      <span class="bar-track">
        <span class="hot" style={{ width: share(hot) }} />
        <span class="cold" style={{ width: share(cold) }} />
      </span>
    </div>
  );
}

export function LayerTable({ neurons, layers }: {
  readonly neurons: Neurons;
  readonly layers: readonly LayerSample[];
}) {
  const { isStreamed } = neurons;
  return (
    <details class="layer-table">
      <summary>All numbers</summary>
      <div class="table" tabIndex={0} role="group" aria-label="Numbers by layer">
        <table>
          <thead>
            <tr>
              <th scope="col">Layer</th>
              <th scope="col">Hot</th>
              <th scope="col">Cold</th>
              <th scope="col">Skipped</th>
              {isStreamed && <th scope="col">Hits</th>}
              {isStreamed && <th scope="col">Misses</th>}
              {isStreamed && <th scope="col">Reads</th>}
              {isStreamed && <th scope="col">KB</th>}
            </tr>
          </thead>
          <tbody>
            {layers.map((layer, index) => (
              <tr key={index}>
                <th scope="row">{index + 1}</th>
                <td>{layer.hot}</td>
                <td>{layer.cold}</td>
                <td>{layer.skipped}</td>
                {isStreamed && <td>{layer.cacheHits}</td>}
                {isStreamed && <td>{layer.cacheMisses}</td>}
                {isStreamed && <td>{layer.diskReads}</td>}
                {isStreamed && <td>{Math.round(layer.diskBytes / 1000)}</td>}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
