// Read faces with the expression network of face-api, for `../peers.py`.
//
//     node face_api.mjs ANSWERS.json CROPS.npy...
//
// Crops and answers are those of `read_faces.py`. Run it in the folder where face-api is installed.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

const require = createRequire(`${process.cwd()}/`);
const { nets, tf } = require('@vladmandic/face-api/dist/face-api.node-wasm.js');

function readCrops(file) {
  const bytes = readFileSync(file);
  const start = 10 + bytes.readUInt16LE(8); // the pixels follow ten bytes and a header
  const header = bytes.toString('latin1', 10, start);
  const [count, height, width] = header.match(/\((\d+), (\d+), (\d+), 3\)/).slice(1).map(Number);
  const length = height * width * 3;
  return Array.from({ length: count }, (_, i) => {
    const pixels = bytes.subarray(start + i * length, start + (i + 1) * length);
    return { pixels, shape: [height, width, 3] };
  });
}

async function read({ pixels, shape }) {
  const face = tf.tensor3d(pixels, shape, 'int32');
  const expressions = await nets.faceExpressionNet.predictExpressions(face);
  face.dispose();
  return expressions;
}

await tf.setBackend('wasm');
await tf.ready();
const folder = dirname(require.resolve('@vladmandic/face-api/package.json'));
await nets.faceExpressionNet.loadFromDisk(`${folder}/model`);

const [answers, ...files] = process.argv.slice(2);
const times = [];
let words = [];
const probabilities = [];
for (const file of files) {
  const rows = [];
  for (const crop of readCrops(file)) {
    const start = performance.now();
    const expressions = await read(crop);
    times.push(performance.now() - start);
    words = Object.keys(expressions);
    rows.push(Object.values(expressions));
  }
  probabilities.push(rows);
}
const ms = times.sort((a, b) => a - b)[times.length >> 1];
writeFileSync(answers, JSON.stringify({ words, probabilities, ms }));
