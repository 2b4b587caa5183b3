// What cannot be checked on a machine is said where nobody overlooks it: ./test prints these lines again at its end.
// A program that has said one ends with kSkippedStatus unless it fails, so that ctest shows it as skipped.
const kSkippedStatus = 77;

const said = new Set();
process.on('exit', (code) => { if (code === 0 && said.size > 0) process.exitCode = kSkippedStatus; });

// False where nothing is missing, else what to give to `skip` of node:test. `missing` says what the machine does not have.
export function skipped(what, missing) {
  if (missing.length === 0) return false;
  const line = `!!!! SKIPPED: ${what}: ${missing.join('; ')}`;
  if (!said.has(line)) console.error(line);
  said.add(line);
  return line;
}
