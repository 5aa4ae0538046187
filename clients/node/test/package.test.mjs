// The package as it would be published: packed, and used by apps of several kinds.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import semver from 'semver'

const root = fileURLToPath(new URL('..', import.meta.url))
const consumer = join(root, 'test/consumer')
const modules = join(consumer, 'node_modules')
const bin = (name) => join(root, 'node_modules/.bin', name)
const at = (name) => join(consumer, name)

let packed
before(async () => {
  packed = await mkdtemp(join(tmpdir(), 'session-api-store-'))
  await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', packed], { cwd: root })
  for (const dir of [modules, at('build')]) await rm(dir, { recursive: true, force: true })
  await mkdir(join(modules, 'session-api-store'), { recursive: true })
  await run('tar', ['-xzf', join(packed, 'session-api-store-0.1.0.tgz'), '--strip-components=1', '-C', join(modules, 'session-api-store')])
})
after(() => Promise.all([packed, modules, at('build')].map((dir) => rm(dir, { recursive: true, force: true }))))

/** What a program prints; a failure says it, too. */
async function run(program, args, options = {}) {
  try {
    const { stdout } = await promisify(execFile)(program, args, { cwd: consumer, ...options })
    return stdout
  } catch (error) {
    assert.fail(`${program} ${args.join(' ')}\n${error.message}\n${error.stdout}${error.stderr}`)
  }
}

test('publint finds nothing', async () => {
  assert.match(await run(bin('publint'), ['run', '--strict', join(packed, 'session-api-store-0.1.0.tgz')]), /All good!/)
})

test('the types are right wherever they are looked for', async () => {
  const found = JSON.parse(await run(bin('attw'), ['--format', 'json', join(packed, 'session-api-store-0.1.0.tgz')]))
  assert.deepEqual(found.problems, {})
  assert.deepEqual(Object.keys(found.analysis.entrypoints), ['./express', './middleware', './unstorage', './package.json'])
})

const strict = ['--strict', '--exactOptionalPropertyTypes', '--target', 'es2022', '--types', 'node', '--outDir', 'build', '--pretty', 'false', '--skipLibCheck']
for (const [name, file, settings] of [
  // The one that looks into the declaration files, too: without those of browsers, which
  // take most of the time and are nothing of this package's.
  ['CommonJS of before exports maps, without esModuleInterop', 'usage.cts', ['--module', 'commonjs', '--moduleResolution', 'node10', '--lib', 'es2022', '--skipLibCheck', 'false']],
  ['CommonJS of Node', 'usage.cts', ['--module', 'node16']],
  ['a bundler', 'usage.mts', ['--module', 'preserve', '--moduleResolution', 'bundler']],
]) {
  test(`TypeScript compiles an app: ${name}`, async () => {
    await rm(at('build'), { recursive: true, force: true })
    await run(bin('tsc'), [file, ...strict, ...settings])
    const compiled = file.replace('ts', 'js')
    assert.equal(await run(process.execPath, [join('build', compiled)]), 'function session-api\n')
  })
}

test('TypeScript compiles ES modules of Node, and knows it as a driver of unstorage 2', async () => {
  await symlink(join(root, 'node_modules/unstorage2'), join(modules, 'unstorage'))
  await run(bin('tsc'), ['usage.mts', ...strict, '--module', 'nodenext', '--noEmit'])
  await rm(join(modules, 'unstorage'))
})

test('Jest takes it', async () => {
  await run(bin('jest'), ['--rootDir', consumer, '--testMatch', '**/*.jest.js', '--ci', '--no-cache', '--config', '{}'])
})

test('what is needed of unstorage is offered by both major versions', async () => {
  const range = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')).peerDependencies.unstorage
  for (const name of ['unstorage', 'unstorage2', 'nitro/node_modules/unstorage']) {
    const { version } = JSON.parse(await readFile(join(root, 'node_modules', name, 'package.json'), 'utf8'))
    assert.ok(semver.satisfies(version, range), `${name} ${version} is not in ${range}`)
  }
})
