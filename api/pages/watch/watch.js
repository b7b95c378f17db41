// The viewer page: joins the pieces. Every piece renders itself from what it was given; here is only
// who is told what.

import { Chat } from './chat.js';
import { byId, metaContent, setAttribute } from './dom.js';
import { Feed } from './feed.js';
import { Likes } from './likes.js';
import { Orders } from './orders.js';
import { Purchase } from './purchase.js';
import { Room } from './room.js';
import { Session } from './session.js';
import { BuyView } from './view/buy.js';
import { OfferCard } from './view/offer.js';
import { OrdersView } from './view/orders.js';
import { Stage } from './view/stage.js';
import { chooseLanguage, language, setLanguage, translate } from './words/index.js';

const broadcast = decodeURIComponent(location.pathname.split('/').filter(Boolean).at(-1));
const isSimulated = metaContent('onair-payments') === 'simulated';
const videoAddress = metaContent('onair-video').replace('{broadcast}', broadcast);

const session = new Session();
const room = new Room();
const stage = new Stage(room, videoAddress);
const card = new OfferCard(room, () => { purchase.forget(); render(); });
const purchase = new Purchase(session, purchased);
const orders = new Orders(broadcast, session, ordersChanged);
const ordersView = new OrdersView({ room, orders, isSimulated });
const buyView = new BuyView({ room, card, session, purchase, orders, isSimulated });
const feed = new Feed(broadcast, session, {
  status: (name) => stage.status(name),
  channels: render,
  live: (state) => { room.replace(state); render(); },
  patch: (patch) => { room.patch(patch); render(); },
  orders: (open) => orders.reconcile(open),
  own,
  chatBegins: (recovered, state) => chat.begins(recovered, state),
  chat: (message) => chat.take(message),
  signedOut,
});
const chat = new Chat(feed, broadcast, session);
const likes = new Likes(feed, broadcast);

function render() {
  stage.render();
  card.render();
  buyView.render();
  ordersView.render();
  likes.render(room.likeCount, stage.isConnected);
  chat.render();
}

function purchased() {
  const { phase, problem, request } = purchase;
  if (phase === 'accepted') orders.take(purchase.order, false);
  if (phase === 'refused' && problem.code === 'offer_changed') {
    room.learnOffer(request.body.spotlight_id, problem.body.offer);
  }
  if (phase === 'refused' && problem.status === 401) signedOut();
  render();
}

function ordersChanged(news) {
  if (news) {
    purchase.notice(news);
    ordersView.tell(news);
  }
  ordersView.render();
}

// What is for this viewer alone.
function own(message) {
  if (message.type === 'order') orders.take(message.order);
  if (message.type === 'moderation' && message.broadcast_id === broadcast) chat.moderated(message);
}

// The token is no longer good: the viewer goes on watching without one.
function signedOut() {
  if (!session.signedIn) return;
  session.end();
  begin();
}

function begin() {
  orders.clear();
  render();
  stage.status('connecting');
  feed.start();
  // the open ones come over the socket too; those that have ended only here
  if (session.mayBuy) orders.load().catch(() => {});
}

function speak(name) {
  setLanguage(name);
  showLanguage();
  chat.redraw();
  render();
}

function showLanguage() {
  translate();
  OfferCard.testPayments(isSimulated);
  for (const button of document.querySelectorAll('[data-language]')) {
    setAttribute(button, 'aria-pressed', button.dataset.language === language());
  }
}

function tick() {
  card.tick();
  ordersView.tick();
  chat.tick();
  if (purchase.until > 0) {
    if (purchase.waits === 0) purchase.until = 0;
    buyView.render();
  }
}

chooseLanguage();
showLanguage();
session.take();
for (const button of document.querySelectorAll('[data-language]')) {
  button.addEventListener('click', () => speak(button.dataset.language));
}
// the shop may hand a fresh token to a page that is open
addEventListener('hashchange', () => session.take() && begin());
setInterval(tick, 1000);
byId('quantity').value = 1;
begin();
