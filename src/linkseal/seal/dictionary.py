"""The preset dictionaries of the token's compression, one per token version.

A dictionary is part of the wire format: a byte changed here makes every link ever
sealed under that version unreadable. Add a version; never edit one.

Deflate reaches back to likely parts cheaply, so the likeliest stand last.
"""

from __future__ import annotations

URL_PARTS_V1 = (
    b".html.aspx.php.pdf.jpg.png/index/wp-content/uploads/category/collections/events/"
    b"download/support/contact/about/privacy/terms/legal/careers/team/press/help/faq/docs/"
    b"blog/news/article/posts/story/video/watch?v=/share?url=/status/profile/settings/"
    b"preferences/notifications/subscription/billing/invoice/receipt/orders/checkout/cart/"
    b"products/product/shop/store/sale/offers/deals/collections/gift/search?q=/page/view/"
    b"login/signup/register/account/dashboard/verify-email/confirm/activate/reset-password?"
    b"token=/unsubscribe?email=%40gmail.com&hash=&signature=&expires=&key=&code=&uid=&user_id="
    b"&list=&lang=en-US&ref=email&source=mail&campaign_id=&mc_cid=&mc_eid=&fbclid=&gclid="
    b"&redirect=https%3A%2F%2F&next=%2F.co.uk/.com.au/.de/.fr/.nl/.io/.net/.org/.edu/.gov/"
    b"https://itunes.apple.com/us/app/https://apps.apple.com/app/id"
    b"https://play.google.com/store/apps/details?id=com."
    b"https://www.linkedin.com/company/https://www.instagram.com/https://www.youtube.com/"
    b"https://twitter.com/https://x.com/https://github.com/https://www.facebook.com/"
    b"https://www.google.com/maps/https://docs.https://app.https://help.https://my.https://go."
    b"http://www.https://blog.https://shop.https://news.https://mail.https://example.com/"
    b"&utm_id=&utm_source=newsletter&utm_medium=email&utm_campaign=&utm_term=&utm_content="
    b"?utm_campaign=?utm_source=email.com/?id=&id=.org/.net/.io/.com/https://www."
)
