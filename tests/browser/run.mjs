// Plays one scene of `scenes/` in a real browser; ends with 1 and says why where it is not as it should be.
// usage: ONAIR_URL=… ONAIR_SECRET=… node run.mjs NAME
import { Stage } from './stage.mjs';

const [name] = process.argv.slice(2);
const { default: play } = await import(`./scenes/${name}.mjs`);
const stage = await Stage.open(process.env.ONAIR_URL, process.env.ONAIR_SECRET);
try {
  await play(stage);
  stage.assertQuiet();
} finally {
  await stage.close();
}
