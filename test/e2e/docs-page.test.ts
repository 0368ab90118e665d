import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { findOnPath } from '../../scanner-runner/src/install/find-on-path.ts'
import { notRun } from './not-run.ts'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome']
/** Without the last five the browser looks for updates and other hosts at every start; root has no sandbox. */
const FLAGS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
]
const METHODS = ['get', 'put', 'post', 'delete', 'patch']

interface Operation {
  operationId: string
}
interface OpenApiDocument {
  info: { title: string }
  paths: Record<string, Record<string, Operation>>
}

const executablePath = NAMES.map((name) => findOnPath(name, process.env.PATH ?? '')).find(Boolean)

describe('the documentation page in a browser', () => {
  const system = inject('system')
  const errors: string[] = []
  const requested: URL[] = []
  let browser: Browser | undefined
  let page: Page
  let served: OpenApiDocument

  beforeAll(async () => {
    if (!executablePath) return
    browser = await chromium.launch({ executablePath, args: FLAGS })
    page = await browser.newPage({ viewport: { width: 1280, height: 1600 } })
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) errors.push(message.text())
    })
    page.on('pageerror', (error) => errors.push(error.message))
    page.on('requestfailed', (request) => errors.push(`${request.url()} ${request.failure()?.errorText}`))
    page.on('request', (request) => requested.push(new URL(request.url())))
    await page.goto(`${system.url}/docs`)
    await page.locator('.opblock').first().waitFor()
    served = (await (await fetch(`${system.url}/openapi/harborguard-v1.json`)).json()) as OpenApiDocument
  })
  afterAll(() => browser?.close())

  it('shows every operation of the document, and makes no error and no request to another host', async (context) => {
    if (!browser) {
      notRun('the documentation page in a browser: no Chromium is on the PATH')
      return context.skip()
    }
    const documented = Object.values(served.paths).flatMap((path) =>
      METHODS.flatMap((method) => path[method]?.operationId ?? []),
    )
    const shown = await page
      .locator('.opblock')
      .evaluateAll((blocks) => blocks.map((block) => block.id.split('-').at(-1)))
    expect(shown.toSorted()).toEqual(documented.toSorted())
    expect(documented.length).toBeGreaterThan(10)
    expect(await page.locator('.opblock').first().isVisible()).toBe(true)
    expect(await page.locator('.info .title').textContent()).toContain(served.info.title)

    await page.locator('.opblock').last().click()
    await page.locator('.opblock.is-open .opblock-body').waitFor()
    if (process.env.HG_SCREENSHOT) await page.screenshot({ path: process.env.HG_SCREENSHOT, fullPage: true })

    expect(errors).toEqual([])
    const elsewhere = requested.filter(
      ({ host, protocol }) => protocol !== 'data:' && !system.url.endsWith(host),
    )
    expect(elsewhere.map(String)).toEqual([])
  })
})
