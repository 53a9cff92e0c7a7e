/** The door of `src/chat`: conversations to prompts. */
export {
  type ChatTemplate,
  type ChatTemplateSource,
  createChatTemplate,
  type RenderOptions,
} from "./template.ts";
