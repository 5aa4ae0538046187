// Makes cjs/, which is what CommonJS gets: the modules as such, and the types beside them.
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import ts from 'typescript'

const at = (path) => new URL(path, import.meta.url)

rmSync(at('cjs'), { recursive: true, force: true })
mkdirSync(at('cjs'))
writeFileSync(at('cjs/package.json'), '{ "type": "commonjs" }\n')
const modules = ['index', 'patch', 'problem', 'request', 'session']
for (const name of modules) {
  const { outputText } = ts.transpileModule(readFileSync(at(`${name}.js`), 'utf8'), {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true },
  })
  writeFileSync(at(`cjs/${name}.js`), outputText)
}
for (const types of ['index', 'problem', 'schema', 'session']) copyFileSync(at(`${types}.d.ts`), at(`cjs/${types}.d.ts`))
