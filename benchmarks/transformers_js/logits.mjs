// Logits and labels that transformers.js gives for texts, from an exported folder and without the network.
// Usage: node logits.mjs FOLDER fp32|q8 < texts.json > answers.json

import { readFileSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { AutoModelForSequenceClassification, AutoTokenizer, env, pipeline } from "@huggingface/transformers";

const [folder, dtype] = process.argv.slice(2);
const texts = JSON.parse(readFileSync(0, "utf-8"));
env.allowRemoteModels = false;
env.localModelPath = dirname(resolve(folder));
const name = basename(resolve(folder));

const tokenizer = await AutoTokenizer.from_pretrained(name);
const model = await AutoModelForSequenceClassification.from_pretrained(name, { dtype });
const logits = [];
for (const text of texts) {
  const output = await model(await tokenizer(text));
  logits.push(output.logits.tolist()[0]);
}
const classify = await pipeline("text-classification", name, { dtype });
const labels = (await classify(texts)).map((answer) => answer.label);
process.stdout.write(JSON.stringify({ logits, labels }));
