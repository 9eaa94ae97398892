// PNG with a palette: screenshots of a page have few colours, and become a third as large.
import { crc32, deflateSync } from "node:zlib";

const COLOURS = 256;

/** Encodes pixels (RGBA, without transparency) with the colours that are most frequent in them. */
export function palettePng(width, height, pixels) {
  const seen = new Map();
  for (let i = 0; i < pixels.length; i += 4) {
    const colour = (pixels[i] << 16) | (pixels[i + 1] << 8) | pixels[i + 2];
    seen.set(colour, (seen.get(colour) ?? 0) + 1);
  }
  const palette = chosen(seen);
  const index = new Map([...seen.keys()].map((colour) => [colour, nearest(palette, colour)]));
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const i = 4 * (y * width + x);
      rows[y * (width + 1) + 1 + x] = index.get((pixels[i] << 16) | (pixels[i + 1] << 8) | pixels[i + 2]);
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8);
  const colours = Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]));
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]),
    chunk("IHDR", header),
    chunk("PLTE", colours),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** The most frequent colours that are not all but equal to one that was taken. */
function chosen(seen) {
  const palette = [];
  for (const least of [48, 12, 0]) {
    for (const [colour] of [...seen].sort((a, b) => b[1] - a[1]).slice(0, 20_000)) {
      if (palette.length === COLOURS) return palette;
      if (palette.every((one) => distance(one, colour) > least)) palette.push(colour);
    }
  }
  return palette;
}

function nearest(palette, colour) {
  let best = 0;
  palette.forEach((one, i) => {
    if (distance(one, colour) < distance(palette[best], colour)) best = i;
  });
  return best;
}

function distance(a, b) {
  const [r, g, bl] = [(a >> 16) - (b >> 16), ((a >> 8) & 255) - ((b >> 8) & 255), (a & 255) - (b & 255)];
  return r * r + g * g + bl * bl;
}

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name, "latin1"), data]);
  const around = Buffer.alloc(8);
  around.writeUInt32BE(data.length, 0);
  around.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([around.subarray(0, 4), body, around.subarray(4)]);
}
