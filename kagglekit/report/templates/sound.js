// Reads wav files; draws waveforms and spectrograms.

const SPAN_DB = 75; // dB from the loudest cell down to black
// Lightness rises evenly, as in matplotlib's magma: it reads in grey and with any kind of colour vision.
const COLOURS = [[0, 0, 4], [28, 16, 68], [79, 18, 123], [129, 37, 129], [181, 54, 122], [229, 80, 100], [251, 135, 97], [254, 194, 135], [252, 253, 191]];

// Read 16-bit mono as the report writes it: {rate, samples}.
function readWav(buffer) {
  const view = new DataView(buffer);
  const samples = new Float32Array((buffer.byteLength - 44) >> 1);
  for (let k = 0; k < samples.length; k++) samples[k] = view.getInt16(44 + 2 * k, true) / 32768;
  return { rate: view.getUint32(24, true), samples };
}

// Cooley-Tukey transform in place; the length is a power of two.
function fft(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) [re[i], re[j], im[i], im[j]] = [re[j], re[i], im[j], im[i]];
  }
  for (let size = 2; size <= n; size *= 2) {
    const turn = -2 * Math.PI / size;
    for (let k = 0; k < size / 2; k++) {
      const c = Math.cos(turn * k), s = Math.sin(turn * k);
      for (let i = k; i < n; i += size) {
        const j = i + size / 2;
        const x = re[j] * c - im[j] * s, y = re[j] * s + im[j] * c;
        re[j] = re[i] - x; im[j] = im[i] - y;
        re[i] += x; im[i] += y;
      }
    }
  }
}

const toMel = (hz) => 2595 * Math.log10(1 + hz / 700);
const toHz = (mel) => 700 * (10 ** (mel / 2595) - 1);

// Columns of decibels over `bands` mel-spaced bands, from windows of about 32 ms.
function spectrogram({ rate, samples }, bands, columns) {
  const size = 2 ** Math.max(5, Math.round(Math.log2(0.032 * rate)));
  const hann = Float32Array.from({ length: size }, (_, k) => 0.5 - 0.5 * Math.cos(2 * Math.PI * k / size));
  const top = toMel(rate / 2);
  const edges = Array.from({ length: bands + 1 }, (_, k) => toHz(top * k / bands) * size / rate);
  const table = [];
  for (let column = 0; column < columns; column++) {
    const start = Math.round((column + 0.5) / columns * samples.length - size / 2);
    const re = Float64Array.from(hann, (w, k) => w * (samples[start + k] || 0));
    const im = new Float64Array(size);
    fft(re, im);
    table.push(Array.from({ length: bands }, (_, band) => {
      const first = Math.floor(edges[band]), last = Math.max(first, Math.ceil(edges[band + 1]) - 1);
      let power = 0;
      for (let k = first; k <= Math.min(last, size / 2); k++) power = Math.max(power, re[k] ** 2 + im[k] ** 2);
      return 10 * Math.log10(power + 1e-12);
    }));
  }
  return table;
}

function drawSpectrogram(canvas, sound) {
  const bands = 110, columns = 320;
  const table = spectrogram(sound, bands, columns);
  const loudest = Math.max(...table.map((column) => Math.max(...column)));
  const small = document.createElement("canvas");
  small.width = columns; small.height = bands;
  const image = new ImageData(columns, bands);
  for (let x = 0; x < columns; x++) {
    for (let y = 0; y < bands; y++) {
      const level = Math.max(0, Math.min(1, 1 + (table[x][bands - 1 - y] - loudest) / SPAN_DB));
      const place = level * (COLOURS.length - 1), low = Math.min(Math.floor(place), COLOURS.length - 2);
      const colour = COLOURS[low].map((value, k) => value + (place - low) * (COLOURS[low + 1][k] - value));
      image.data.set([...colour, 255], 4 * (y * columns + x));
    }
  }
  small.getContext("2d").putImageData(image, 0, 0);
  canvas.getContext("2d").drawImage(small, 0, 0, canvas.width, canvas.height);
}

function drawWave(canvas, { samples }) {
  const context = canvas.getContext("2d"), { width, height } = canvas;
  const peak = samples.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-4);
  context.clearRect(0, 0, width, height);
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
  for (let x = 0; x < width; x++) {
    const part = samples.subarray(Math.floor(x / width * samples.length), Math.max(1, Math.ceil((x + 1) / width * samples.length)));
    let low = 0, high = 0;
    for (const value of part) { low = Math.min(low, value); high = Math.max(high, value); }
    const top = (1 - high / peak * 0.94) * height / 2, bottom = (1 - low / peak * 0.94) * height / 2;
    context.fillRect(x, top, 1, Math.max(bottom - top, 1));
  }
}
