// TCG
export async function chooseAccelerator(_kernel) {
  return ['-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'max']
}
