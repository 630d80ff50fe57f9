// The lines of a reader: what dspy's runner.js takes from deno.land/std, for machines that don't reach deno.land.
export async function* readLines(reader) {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const piece of reader.readable) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = lines.pop();
    yield* lines;
  }
  if (rest) yield rest;
}
