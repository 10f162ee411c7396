// Turns messages and tools into the prompt that the model sees (a ChatML template, as Qwen's).
import { isFields, stringField, type Fields } from './fields.ts'
import type { Prompt, ToolCall } from './plan.ts'
import { EngineRefusal } from './refusal.ts'
import { valueFor } from './schema-value.ts'
import { readText, spread } from './text.ts'
import { encode } from './tokenizer.ts'

export interface Tool {
  readonly name: string
  readonly description: string
  /** JSON schema of the arguments. */
  readonly parameters: unknown
}

export type ToolChoice = 'auto' | 'none' | 'required' | { readonly name: string }

export interface ChatInput {
  readonly messages: readonly Fields[]
  readonly tools: readonly Tool[]
  readonly choice: ToolChoice
  /** The last message is an unfinished answer that goes on. */
  readonly continues: boolean
}

/** Reads the OpenAI chat fields. */
export function readChat(body: Fields): ChatInput {
  const messages = Array.isArray(body['messages']) ? body['messages'].filter(isFields) : []
  if (messages.length === 0) {
    const message = 'Cannot apply chat template to an empty conversation. Provide at least one message.'
    throw new EngineRefusal('bad_request', message)
  }
  const tools = (Array.isArray(body['tools']) ? body['tools'] : []).filter(isFields).map(readTool)
  return {
    messages,
    tools,
    choice: readChoice(body['tool_choice']),
    continues: body['continue_final_message'] === true,
  }
}

/** A tool in OpenAI's shapes (chat nests it, responses do not) or Anthropic's. */
function readTool(tool: Fields): Tool {
  const inner = isFields(tool['function']) ? tool['function'] : tool
  return {
    name: stringField(inner, 'name') ?? stringField(tool, 'type') ?? 'tool',
    description: stringField(inner, 'description') ?? '',
    parameters: inner['parameters'] ?? inner['input_schema'] ?? { type: 'object' },
  }
}

function readChoice(value: unknown): ToolChoice {
  if (value === 'none' || value === 'required') return value
  if (!isFields(value)) return 'auto'
  const inner = isFields(value['function']) ? value['function'] : value
  const name = stringField(inner, 'name')
  return name === null ? 'auto' : { name }
}

/** The prompt of a chat. */
export function renderChat(input: ChatInput): Prompt {
  const parts: string[] = []
  if (input.tools.length > 0 && input.choice !== 'none') {
    parts.push(`<|im_start|>system\n# Tools\n${JSON.stringify(input.tools)}<|im_end|>\n`)
  }
  const last = input.continues ? input.messages.length - 1 : input.messages.length
  for (const message of input.messages.slice(0, last)) parts.push(renderMessage(message))
  parts.push('<|im_start|>assistant\n')
  const partial = last < input.messages.length ? contentText(input.messages[last]?.['content']) : ''
  return promptOf(parts.join('') + partial, partial)
}

/** A prompt of that text. `partial`: the beginning of the answer, which the client gave. */
export function promptOf(text: string, partial = ''): Prompt {
  return { text, tokens: encode(text), partial }
}

function renderMessage(message: Fields): string {
  const calls = Array.isArray(message['tool_calls']) ? JSON.stringify(message['tool_calls']) : ''
  return `<|im_start|>${stringField(message, 'role') ?? 'user'}\n${contentText(message['content'])}${calls}<|im_end|>\n`
}

/** The text of a message: a string, or parts of which the texts count and the others stand as marks. */
export function contentText(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map(partText).join('')
}

function partText(part: unknown): string {
  if (typeof part === 'string') return part
  if (!isFields(part)) return ''
  const text = part['text'] ?? part['thinking']
  if (typeof text === 'string') return text
  if (part['type'] === 'tool_result') return contentText(part['content'])
  // The same picture gives the same prompt, another one another.
  return `<|${stringField(part, 'type') ?? 'part'}:${(readText(JSON.stringify(part)).hash >>> 0).toString(16)}|>`
}

/** The tool call that the model makes: when it must, or when the last user message names a tool. Null: it talks. */
export function chooseTool(input: ChatInput, prompt: Prompt): ToolCall | null {
  if (input.tools.length === 0 || input.choice === 'none') return null
  const last = input.messages.at(-1) ?? {}
  const isUser = stringField(last, 'role') === 'user'
  const named = isUser
    ? input.tools.find((tool) => contentText(last['content']).includes(tool.name))
    : undefined
  if (typeof input.choice === 'object') {
    const { name } = input.choice
    const tool = input.tools.find((known) => known.name === name)
    if (tool) return callOf(tool, prompt, true)
    throw new EngineRefusal(
      'bad_request',
      `The tool specified in \`tool_choice\` does not match any of the specified \`tools\``,
    )
  }
  if (input.choice === 'required') return callOf(named ?? (input.tools[0] as Tool), prompt, false)
  return named ? callOf(named, prompt, false) : null
}

function callOf(tool: Tool, prompt: Prompt, forced: boolean): ToolCall {
  const chance = spread(readText(prompt.text).hash) % 1000
  return { name: tool.name, arguments: JSON.stringify(valueFor(tool.parameters, chance)), forced }
}
