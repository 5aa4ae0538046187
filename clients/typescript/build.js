// Makes cjs/, which is what CommonJS gets: index.js as such, and the types beside it.
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import ts from 'typescript'

const at = (path) => new URL(path, import.meta.url)

rmSync(at('cjs'), { recursive: true, force: true })
mkdirSync(at('cjs'))
writeFileSync(at('cjs/package.json'), '{ "type": "commonjs" }\n')
const { outputText } = ts.transpileModule(readFileSync(at('index.js'), 'utf8'), {
  compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true },
})
writeFileSync(at('cjs/index.js'), outputText)
for (const types of ['index.d.ts', 'schema.d.ts']) copyFileSync(at(types), at(`cjs/${types}`))
