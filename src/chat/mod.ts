/** The door of `src/chat`: conversations to prompts. */
export { areShallow, VALUE_DEPTH_MAX } from "./special_text.ts";
export {
  type ChatTemplate,
  type ChatTemplateSource,
  createChatTemplate,
  type RenderOptions,
} from "./template.ts";
