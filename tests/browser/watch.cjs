// Plays a link in a browser as a viewer does who has a keyboard: node watch.cjs PLAYWRIGHT CHROMIUM URL. Tells as JSON what it saw.
'use strict';
const [playwright, executablePath, url] = process.argv.slice(2);
const { chromium } = require(playwright);

(async () => {
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--mute-audio', '--no-proxy-server', '--autoplay-policy=no-user-gesture-required'],
  });
  const page = await browser.newPage({ viewport: { width: 1000, height: 700 } });
  const seen = { console: [], refused: [], errors: [], cues: [] };
  page.on('console', (message) => { if (message.type() === 'error') seen.console.push(message.text()); });
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('response', (response) => { if (response.status() >= 400) seen.refused.push(`${response.status()} ${response.url()}`); });
  await page.addInitScript(() => {
    window.faults = [];
    document.addEventListener('player-error', (event) => window.faults.push(event.detail));
  });
  await page.goto(url);
  const video = page.locator('video');
  const state = () => video.evaluate((video) => ({
    paused: video.paused, muted: video.muted, at: video.currentTime, duration: video.duration, ended: video.ended,
    error: video.error && video.error.message, width: video.videoWidth,
    captions: [...video.textTracks].map((track) => track.mode),
  }));
  const until = (expression) => page.waitForFunction(expression, null, { timeout: 0, polling: 50 });

  seen.role = await page.locator('[role=status][aria-live=polite]').count();
  seen.name = await video.getAttribute('aria-label');
  await until(() => document.querySelector('video').readyState >= 2);
  seen.first = await state();
  // Space, with the focus on the page: it plays.
  await page.keyboard.press(' ');
  await until(() => document.querySelector('video').currentTime > 0.2);
  seen.playing = await state();
  await page.keyboard.press(' ');
  await until(() => document.querySelector('video').paused);
  seen.stopped = await state();
  // Captions.
  await page.keyboard.press('c');
  seen.captioned = await state();
  seen.said = await page.getByRole('status').textContent();
  // Sound.
  await page.keyboard.press('m');
  seen.muted = await state();
  await page.keyboard.press('m');
  seen.loud = await state();
  // Arrows.
  await page.keyboard.press('ArrowRight');
  seen.later = await state();
  await page.keyboard.press('ArrowLeft');
  seen.earlier = await state();
  await until(() => !document.querySelector('video').seeking);
  // Tab reaches the player, whose own space it then is.
  await page.keyboard.press('Tab');
  seen.focus = await page.evaluate(() => document.activeElement.tagName);
  // From the beginning to the end, with every caption that shows on the way.
  await video.evaluate((video) => {
    window.cues = new Set();
    for (const track of video.textTracks) {
      const note = () => [...(track.activeCues || [])].forEach((cue) => window.cues.add(cue.text));
      track.addEventListener('cuechange', note);
      video.addEventListener('timeupdate', note);
    }
    video.currentTime = 0;
    return video.play();
  });
  await until(() => document.querySelector('video').ended || document.querySelector('video').error);
  seen.last = await state();
  seen.cues = await page.evaluate(() => [...window.cues]);
  seen.faults = await page.evaluate(() => window.faults);
  console.log(JSON.stringify(seen));
  await browser.close();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
