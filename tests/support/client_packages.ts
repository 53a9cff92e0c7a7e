/**
 * To be imported before packages of clients: they ask the machine for its name and for files of
 * its user, which is no business of a test and not permitted to one. They are told of none.
 */
import os from "node:os";

Object.assign(os, { hostname: () => "localhost" });
Deno.env.set("LANGSMITH_CONFIG_FILE", "/there/is/none");
// The AI SDK writes to the console what a model does not support.
Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false });
