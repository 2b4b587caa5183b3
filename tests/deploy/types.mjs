// Kubernetes objects held to their own types: each is compiled as a TypeScript literal, which refuses a field that its type
// does not have, at any depth.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const kFolder = fileURLToPath(new URL('.', import.meta.url));
const kModules = fileURLToPath(new URL('../node_modules/', import.meta.url));

// Where the type of a kind is: the module's name, or nothing.
function moduleOf({ apiVersion, kind }) {
  if (apiVersion === 'snapshot.storage.k8s.io/v1') return './types/VolumeSnapshot.js';
  const package_ = apiVersion.startsWith('monitoring.coreos.com/') ? '@kubernetes-models/prometheus-operator' : 'kubernetes-models';
  const path = `${package_}/${apiVersion}/${kind}`;
  return existsSync(`${kModules}${path}.d.ts`) ? path : undefined;
}

const kOptions = {
  strict: true, noEmit: true, skipLibCheck: true, types: [], lib: ['lib.es2022.d.ts'],
  target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
};

const host = ts.createCompilerHost(kOptions);
// Kubernetes' own types are parsed once for all runs.
const parsed = new Map();

// What is wrong with each of several lists of objects: for each list, a list of sentences. One run of the compiler for all, which
// looks once at what is in several lists.
export function typeErrors(lists) {
  const errors = lists.map(() => []);
  const sources = new Map();
  const files = new Map();
  lists.forEach((objects, list) => objects.forEach((object) => {
    const module = moduleOf(object);
    if (!module) {
      errors[list].push(`${object.apiVersion} ${object.kind} is no kind that Kubernetes has`);
      return;
    }
    const source = `import type { I${object.kind} } from '${module}';\nexport const object: I${object.kind} = ${JSON.stringify(object, null, 1)};\n`;
    if (!files.has(source)) files.set(source, `${kFolder}__${files.size}.ts`);
    const file = files.get(source);
    if (!sources.has(file)) sources.set(file, { source, lists: new Set(), name: `${object.kind} ${object.metadata?.name}` });
    sources.get(file).lists.add(list);
  }));
  const program = ts.createProgram([...sources.keys()], kOptions, {
    ...host,
    fileExists: (file) => sources.has(file) || host.fileExists(file),
    readFile: (file) => sources.get(file)?.source ?? host.readFile(file),
    getSourceFile: (file, ...rest) => {
      if (sources.has(file)) return ts.createSourceFile(file, sources.get(file).source, kOptions.target);
      if (!parsed.has(file)) parsed.set(file, host.getSourceFile(file, ...rest));
      return parsed.get(file);
    },
  });
  for (const diagnostic of ts.getPreEmitDiagnostics(program)) {
    const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, ' ').replaceAll(/'"(\w+)"'/g, "'$1'");
    const of = sources.get(diagnostic.file?.fileName);
    if (!of) throw new Error(`${diagnostic.file?.fileName}: ${message}`);
    of.lists.forEach((list) => errors[list].push(`${of.name}: ${message}`));
  }
  return errors;
}
