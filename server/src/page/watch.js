// Plays the link that this page belongs to: by the browser's own HLS, by hls.js, or as a file, whichever there is.
'use strict';
(() => {
  const video = document.getElementById('video');
  const status = document.getElementById('status');
  const say = (text) => { status.textContent = text; };
  const asked = new URLSearchParams(location.search);

  const captionTracks = () => [...video.textTracks].filter((track) => track.kind !== 'metadata');
  const toggleCaptions = () => {
    const tracks = captionTracks();
    const showing = tracks.some((track) => track.mode === 'showing');
    tracks.forEach((track, index) => { track.mode = !showing && index === 0 ? 'showing' : 'hidden'; });
    if (tracks.length) say(showing ? 'Captions off' : 'Captions on');
  };

  const asFile = () => {
    video.src = 'video.mp4';
    if (video.dataset.captions === 'yes') {
      const track = document.createElement('track');
      Object.assign(track, { kind: 'captions', src: 'captions.vtt', srclang: document.documentElement.lang, label: 'Captions' });
      video.append(track);
    }
  };

  const throughPlayer = () => {
    let turns = 0;
    const hls = new window.Hls({ startLevel: 0, maxBufferLength: 20 });
    hls.on(window.Hls.Events.MANIFEST_PARSED, () => say(''));
    hls.on(window.Hls.Events.ERROR, (_, error) => {
      document.dispatchEvent(new CustomEvent('player-error', { detail: { fatal: error.fatal, details: error.details } }));
      if (!error.fatal) return;
      // So much is being watched that this one has to wait a moment.
      if (error.details === 'manifestLoadError' && error.response?.code === 503 && turns < 20) {
        turns += 1;
        say('Many people are watching just now. The video begins in a moment.');
        setTimeout(() => hls.loadSource('master.m3u8'), 3000);
        return;
      }
      if (error.type === window.Hls.ErrorTypes.MEDIA_ERROR) { hls.recoverMediaError(); return; }
      say('The video cannot be loaded just now. Please try again in a moment.');
    });
    hls.loadSource('master.m3u8');
    hls.attachMedia(video);
  };

  const start = () => {
    if (video.canPlayType('application/vnd.apple.mpegurl') === 'probably') {
      video.src = 'master.m3u8';
    } else if (window.Hls && window.Hls.isSupported()) {
      throughPlayer();
    } else {
      asFile();
    }
    if (asked.has('autoplay')) video.play().catch(() => {});
  };

  const player = video.dataset.player;
  if (player) {
    const script = document.createElement('script');
    script.src = player;
    script.onload = start;
    script.onerror = start;
    document.head.append(script);
  } else {
    start();
  }

  video.addEventListener('error', () => say('The video cannot be played.'));
  document.addEventListener('keydown', (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest('a, button, input')) return;
    // With the focus on it the player's own controls take these.
    const own = event.target === video;
    const seek = (by) => { video.currentTime = Math.max(0, Math.min(video.duration || 0, video.currentTime + by)); };
    switch (event.key) {
      case ' ': case 'k': if (own && event.key === ' ') return; if (video.paused) video.play(); else video.pause(); break;
      case 'ArrowLeft': seek(-5); break;
      case 'ArrowRight': seek(5); break;
      case 'c': toggleCaptions(); break;
      case 'm': video.muted = !video.muted; say(video.muted ? 'Sound off' : 'Sound on'); break;
      case 'f': if (document.fullscreenElement) document.exitFullscreen(); else video.requestFullscreen?.(); break;
      default: return;
    }
    event.preventDefault();
  });
})();
