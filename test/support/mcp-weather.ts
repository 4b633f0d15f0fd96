/** An MCP server on standard input and output, with tools that an agent has to search for: run it with Node. */
import { createInterface } from "node:readline";

type Message = { id?: number; method: string; params: Record<string, unknown> };

const place = { type: "object", properties: { place: { type: "string" } }, required: ["place"] };
const tools = ["forecast", "history", "tides"].map((name) => ({
  name,
  description: `Weather: ${name} of a place`,
  inputSchema: place,
}));

function answer({ method, params }: Message): object {
  switch (method) {
    case "initialize":
      return {
        protocolVersion: params["protocolVersion"],
        capabilities: { tools: {} },
        serverInfo: { name: "weather", version: "1" },
      };
    case "tools/list":
      return { tools };
    case "tools/call":
      return { content: [{ type: "text", text: `${String(params["name"])}: ${JSON.stringify(params["arguments"])}` }] };
    default:
      return {};
  }
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const message = JSON.parse(line) as Message;
  // Notifications have no id, and no answer.
  if (message.id === undefined) return;
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id: message.id, result: answer(message) })}\n`);
});
