// A picture of a page in light and in dark: node look.cjs PLAYWRIGHT CHROMIUM URL FOLDER [PASSWORD]. Tells as JSON what stands in it.
'use strict';
const [playwright, executablePath, url, folder, password] = process.argv.slice(2);
const { chromium } = require(playwright);

(async () => {
  const browser = await chromium.launch({ executablePath, headless: true, args: ['--no-sandbox', '--disable-gpu', '--no-proxy-server'] });
  const seen = { problems: [] };
  for (const colorScheme of ['light', 'dark']) {
    const httpCredentials = password ? { username: 'status', password } : undefined;
    const page = await browser.newPage({ viewport: { width: 1000, height: 800 }, colorScheme, httpCredentials });
    page.on('console', (message) => { if (message.type() === 'error') seen.problems.push(message.text()); });
    page.on('pageerror', (error) => seen.problems.push(String(error)));
    const response = await page.goto(url);
    seen.status = response.status();
    await page.screenshot({ path: `${folder}/${colorScheme}.png`, fullPage: true });
    // The contrast of each text with what is behind it (WCAG 2.2, 1.4.3).
    seen[colorScheme] = await page.evaluate(() => {
      const parts = (color) => color.match(/[\d.]+/g).map(Number);
      const light = (color) => {
        const [red, green, blue] = parts(color).map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
      };
      const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
          const color = getComputedStyle(at).backgroundColor;
          if ((parts(color)[3] ?? 1) > 0) return color;
        }
        return 'rgb(255, 255, 255)';
      };
      let least = 21;
      for (const element of document.querySelectorAll('h1, p, caption, th, td, a')) {
        const [one, two] = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a);
        least = Math.min(least, (one + 0.05) / (two + 0.05));
      }
      return least;
    });
    seen.wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
    await page.setViewportSize({ width: 320, height: 700 });
    seen.narrow = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
    seen.text = await page.locator('main').innerText();
    seen.rows = await page.getByRole('row').count();
    await page.close();
  }
  console.log(JSON.stringify(seen));
  await browser.close();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
