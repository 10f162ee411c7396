// Keeps a core busy for as long as the process that started it is its parent, so that it ends however that one ends.
// Usage: node bench/spin.ts PID_OF_THE_PARENT
const parent = Number(process.argv[2])
let count = 0
while (process.ppid === parent) for (let step = 0; step < 1e6; step++) count++
