// Reads a code out of a picture, beside the page, so that the camera's picture stays smooth. Takes {library}, then pictures.
let reader, turned = false;
console.warn = () => {};   // the library tells of each picture that there is nothing in it

const begin = library => {
  importScripts(library);
  const { BarcodeFormat: kind, DecodeHintType: hint, MultiFormatReader } = ZXing;
  reader = new MultiFormatReader();
  reader.setHints(new Map([
    [hint.POSSIBLE_FORMATS, [kind.CODE_128, kind.EAN_13, kind.EAN_8, kind.UPC_A, kind.QR_CODE, kind.DATA_MATRIX]],
    [hint.TRY_HARDER, true],
  ]));
};

/** How light each point is; every other picture on its side, for labels that are held upright. */
const grey = ({ data, width, height }) => {
  const light = new Uint8ClampedArray(width * height);
  for (let y = 0, from = 0; y < height; y++) {
    for (let x = 0; x < width; x++, from += 4) {
      light[turned ? x * height + y : y * width + x] = (data[from] * 77 + data[from + 1] * 151 + data[from + 2] * 28) >> 8;
    }
  }
  return turned ? new ZXing.RGBLuminanceSource(light, height, width) : new ZXing.RGBLuminanceSource(light, width, height);
};

const read = picture => {
  turned = !turned;
  try {
    return reader.decodeWithState(new ZXing.BinaryBitmap(new ZXing.HybridBinarizer(grey(picture)))).getText();
  } catch {
    return "";   // nothing to be read in it
  }
};

onmessage = ({ data }) => {
  if (data.library) { begin(data.library); postMessage({ ready: true }); }
  else postMessage({ code: read(data.picture) });
};
