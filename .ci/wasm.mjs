// Runs a program of tests that was compiled for wasm32-unknown-unknown: node wasm.mjs PROGRAM
//
// That target has no arguments, no output and no unwinding. A test that fails is a trap, and its
// name is in the stack. What the harness prints goes nowhere, but it was written to a buffer first:
// its last words are looked up in the program's memory. A program that did not say how many tests
// passed did not run them.
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';

Error.stackTraceLimit = 100;
const path = process.argv[2];
const { instance } = await WebAssembly.instantiate(await readFile(path), {});

// The longest of the matches: parts of the same words may be left elsewhere. The memory is read in
// windows, since it may be longer than a string can be; they overlap by more than any match is long.
const WINDOW = 64 << 20;
const OVERLAP = 1 << 16;
const inMemory = (pattern) => {
    const memory = Buffer.from(instance.exports.memory.buffer);
    const found = [];
    for (let start = 0; start < memory.length; start += WINDOW - OVERLAP) {
        const window = memory.toString('latin1', start, start + WINDOW);
        found.push(...[...window.matchAll(pattern)].map((match) => match[0]));
    }
    return found.sort((a, b) => b.length - a.length)[0];
};

const fail = (...words) => {
    console.error(`wrong: ${basename(path)}:`, ...words);
    process.exit(1);
};

let code;
try {
    code = instance.exports.main(0, 0);
} catch (trap) {
    const frames = trap.stack.split('\n').filter((line) => /positron|vectors/.test(line));
    const names = frames.map((line) => line.replace(/^.*\.wasm\.(\S+) .*$/, '    in $1'));
    const panic = inMemory(/panicked at [\x20-\x7e]+:\d+:\d+:\n[\x20-\x7e\n]*/g);
    fail(trap.message, `\n${panic ?? 'no panic'}\n${names.slice(0, 12).join('\n')}`);
}
// Numbers of bounded length: a test may have left a megabyte of digits in the memory, and `\d+`
// would read on to its end from each of them.
// What the harness says at the end may be overwritten before it ends; what a test leaves stays.
const sum = inMemory(/\d{1,6} passed; \d{1,6} failed; \d{1,6} ignored|ran to the end: [\da-f]{8}/g);
if (code !== 0) fail('it ended with', code);
if (!sum || !/^([1-9]\d* passed; 0 failed|ran to the end)/.test(sum)) fail(sum ?? 'no test ran');
console.log(`${basename(path)}: ${sum}`);
