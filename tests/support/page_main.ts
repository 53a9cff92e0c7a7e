/** Entry of a page that runs models: asks the test for jobs, and posts what they came to. */
import { openGpu } from "../../gpu/mod.ts";
import { answerJob, type PageAnswer, type PageJob } from "./page_model.ts";
import { sizesAsData } from "./sizes_as_data.ts";

/** What the page posts. */
export interface PageReport {
  /** What went wrong: a Chromium without WebGPU, too, or nobody would know that nothing is run. */
  readonly failure?: string;
  /** Who computed. */
  readonly adapter?: string;
  /** By names of jobs. */
  readonly answers: Readonly<Record<string, PageAnswer>>;
}

const get = async (path: string) => {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response;
};

async function answerAll(): Promise<PageReport> {
  let adapter: string | undefined;
  const answers: Record<string, PageAnswer> = {};
  try {
    const gpu = await openGpu({ adapter: "fallback-allowed" });
    adapter = gpu.info.key;
    gpu.close();
    const module = await WebAssembly.compileStreaming(get("/kernels.wasm"));
    const jobs: PageJob[] = await (await get("/jobs.json")).json();
    for (const job of jobs) {
      // Chromium takes a second and more to compile a product by integers.
      if (job.isTuned) sizesAsData({ afterFirst: true });
      const bytes = await (await get(`/models/${job.name}`)).bytes();
      answers[job.name] = await answerJob(job, bytes, module);
      await fetch("/progress", { method: "POST" });
    }
    return { adapter, answers };
  } catch (error) {
    return { failure: error instanceof Error ? error.stack : String(error), adapter, answers };
  }
}

await fetch("/report", { method: "POST", body: JSON.stringify(await answerAll()) });
